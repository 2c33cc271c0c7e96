"""Section `poetry.prepare`: a CSV's columns, and what a poem is asked for by."""

from typing import Literal

from wenmo.config.params_file import PositiveInt, Section
from wenmo.config.prepare import SharedPrepareParams


class Columns(Section):
    """Section `poetry.prepare.columns`: what the CSV's header calls each column."""

    title: str
    author: str
    dynasty: str
    content: str


class PrepareParams(SharedPrepareParams):
    """Sections `prepare` and `poetry.prepare`."""

    columns: Columns
    prompts: Literal["first_line", "title", "theme"]
    max_lines: PositiveInt
