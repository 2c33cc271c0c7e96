"""Section `poetry.prepare`: the columns of the CSV, and the form of a poem's prompt."""

from typing import Literal

from wenmo.config.params_file import PositiveInt, Section
from wenmo.config.prepare import SharedPrepareParams


class Columns(Section):
    """Section `poetry.prepare.columns`: the names of the columns in the CSV's header."""

    title: str
    content: str


class PrepareParams(SharedPrepareParams):
    """Sections `prepare` and `poetry.prepare`."""

    columns: Columns
    prompts: Literal["first_line", "title", "theme"]
    max_lines: PositiveInt
