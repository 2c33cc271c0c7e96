"""Writing the prompt that a passage answers: what summarize does to rows that have none."""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from wenmo.llm.offline import leading_clause
from wenmo.params import PositiveInt, Section
from wenmo.records import Row


class SummarizeParams(Section):
    """Section `summarize`."""

    provider: Literal["offline"]
    max_prompt_chars: PositiveInt


PromptWriter = Callable[[str, int], str]
"""A text and the longest prompt in characters go in, the prompt comes out."""


def prompt_writer(params: SummarizeParams) -> PromptWriter:
    """The writer that `summarize.provider` names."""
    return {"offline": leading_clause}[params.provider]


def with_prompt(row: Row, writer: PromptWriter, params: SummarizeParams) -> Row:
    """The row itself if it has a prompt, else with one in `input`."""
    if row.prompt:
        return row
    return replace(row, input=writer(row.output, params.max_prompt_chars))
