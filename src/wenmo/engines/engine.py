"""What every engine does: prompts in, texts out in order of completion."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from pydantic import Field

from wenmo.model.chat import Message
from wenmo.params import Count, Fraction, PositiveFloat, PositiveInt, Section


class Sampling(Section):
    """Section `generate.sampling`: how the next token is drawn."""

    max_new_tokens: PositiveInt
    temperature: float = Field(ge=0)
    top_p: Fraction
    top_k: Count
    repetition_penalty: PositiveFloat


@dataclass(frozen=True)
class Prompt:
    """What is asked of a model: `seed` makes the draw this prompt's own."""

    id: str
    messages: list[Message]
    seed: int


@dataclass(frozen=True)
class Completion:
    """The answer to the prompt of the same id; `finish_reason` is `stop` or `length`."""

    id: str
    text: str
    finish_reason: str
    tokens: int


class Engine(Protocol):
    """One loaded model."""

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> Iterator[Completion]:
        """One completion a prompt, in order of completion."""


def prompt_seed(seed: int, row_id: str, attempt: int = 0) -> int:
    """A seed of 63 bits for one row, so that its text does not depend on the rows beside it."""
    digest = hashlib.sha256(f"{seed}/{row_id}/{attempt}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
