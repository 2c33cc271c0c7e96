"""The interface of a task. Each task is a module beside this one, loaded by its name."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from wenmo.config.params_file import TASKS
from wenmo.config.prepare import SharedPrepareParams
from wenmo.core.choices import choices
from wenmo.core.errors import ParamsError, UserError
from wenmo.core.records import Row, Turn, read_json_lines, row_id
from wenmo.tasks.raw import TEST_FILE, MalformedRows, text_fields
from wenmo.text.cleaning import Rejected

ALPACA = ("instruction", "input", "output")


@dataclass(frozen=True)
class Document:
    """One raw book, tale or poem: its source, its number there, and what is known besides its text.

    A poem may have a title or be written to a tune; a tale has the request that it answers. `place`
    is its path:line. A document that `is_row` is learnt as it is, with the turns before it as its
    `history`.
    """

    source: str
    position: int
    text: str
    title: str = ""
    instruction: str = ""
    input: str = ""
    place: str = ""
    is_row: bool = False
    system: str = ""
    history: tuple[Turn, ...] = ()
    tune: str = ""


@dataclass
class Prepared:
    """A document's rows, and what was left out: whole rows, and pieces that cleaning removed.

    `characters_read` are those of the document's normal form, white space left out.
    """

    characters_read: int
    rows: list[Row] = field(default_factory=list)
    rejected_rows: list[Rejected] = field(default_factory=list)
    rejected_pieces: list[Rejected] = field(default_factory=list)


class Task(Protocol):
    """The names that a task's module has."""

    PrepareParams: type[SharedPrepareParams]

    def read(self, folder: Path, params: Any, malformed: MalformedRows) -> Iterator[Document]:
        """The raw documents of a folder. Raises UserError naming file and line."""

    def prepare(self, document: Document, params: Any) -> Prepared:
        """One document's rows."""


def load_task(name: str) -> Task:
    """The module of a task. Raises ParamsError for an unknown name."""
    if name not in TASKS:
        raise ParamsError(
            "params.yaml: tasks: {name!r}: {choices}", name=name, choices=choices(name, TASKS)
        )
    return import_module(f"wenmo.tasks.{name}")


def read_test_rows(folder: Path) -> list[Row]:
    """The prompts to answer in submit.json; none if the folder has no test.jsonl.

    Raises UserError naming file and line of a malformed one.
    """
    path = folder / TEST_FILE
    if not path.is_file():
        return []
    rows: list[Row] = []
    for place, content in read_json_lines(path):
        given = {key: value for key, value in content.items() if value is not None}
        empty = dict.fromkeys(ALPACA, "")
        instruction, input_, output = text_fields(empty | given, ALPACA, place)
        if not instruction and not input_:
            raise UserError("{place}: instruction and input are both empty", place=place)
        position = len(rows)
        identity = row_id(f"test/{position}", instruction + input_)
        rows.append(Row(identity, "test", position, instruction, input_, output))
    return rows
