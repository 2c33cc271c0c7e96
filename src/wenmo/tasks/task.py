"""What the tasks have in common. Each task is one module beside this one, loaded by its name."""

import csv
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from wenmo.errors import ParamsError, UserError
from wenmo.params import Section
from wenmo.records import Row, read_json_lines, row_id, string_fields

TASKS = ("novel", "fairytale", "poetry")
ALPACA = ("instruction", "input", "output")
TEST_FILE = "test.jsonl"


@dataclass(frozen=True)
class Document:
    """One raw book, tale or poem: its source, its place there and its fields."""

    source: str
    position: int
    fields: dict[str, str]


@dataclass
class Prepared:
    """The rows of a task, and how many were left out for which reason."""

    rows: list[Row] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)


class Task(Protocol):
    """What a task's module offers."""

    PrepareParams: type[Section]

    def read(self, folder: Path, params: Any) -> Iterator[Document]:
        """The raw documents of a folder. Raises UserError naming file and line."""

    def prepare(self, document: Document, params: Any) -> Prepared:
        """One document's rows."""


def load_task(name: str) -> Task:
    """The module of a task. Raises ParamsError for an unknown name."""
    if name not in TASKS:
        raise ParamsError(f"params.yaml: tasks: {name!r}: allowed are {', '.join(TASKS)}")
    return import_module(f"wenmo.tasks.{name}")


def raw_files(folder: Path, *patterns: str) -> list[Path]:
    """The raw files of a task in order of name. Raises UserError where there is none."""
    found = sorted({path for pattern in patterns for path in folder.glob(pattern)})
    files = [path for path in found if path.name != TEST_FILE]
    if not files:
        raise UserError(f"{folder}: no raw texts; expected {' or '.join(patterns)}")
    return files


def read_test_rows(folder: Path) -> list[Row]:
    """The prompts to answer in submit.json; none where the folder has no test.jsonl."""
    path = folder / TEST_FILE
    if not path.is_file():
        return []
    rows: list[Row] = []
    for number, content in read_json_lines(path):
        instruction, input_, output = string_fields(content, ALPACA, f"{path}:{number}")
        if not instruction and not input_:
            raise UserError(f"{path}:{number}: instruction and input are both empty")
        position = len(rows)
        identity = row_id(f"test/{position}", instruction + input_)
        rows.append(Row(identity, "test", position, instruction, input_, output))
    return rows


def read_csv(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """(line a row starts on, its fields). Raises UserError as path:line for a malformed row."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        line = 1
        try:
            missing = [column for column in columns if column not in (reader.fieldnames or ())]
            if missing:
                raise UserError(f"{path}:1: no column {missing[0]!r}; found {reader.fieldnames}")
            line = reader.line_num + 1
            for content in reader:
                if None in content or None in content.values():
                    count = len(reader.fieldnames or ())
                    raise UserError(f"{path}:{line}: expected {count} fields in the row")
                yield line, {column: content[column] for column in columns}
                line = reader.line_num + 1
        except csv.Error as error:
            raise UserError(f"{path}:{line}: not CSV: {error}") from None
        except UnicodeDecodeError as error:
            raise UserError(f"{path}: not UTF-8 ({error.reason} at byte {error.start})") from None


def read_json_array(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line an object starts on, object). Raises UserError as path:line for a malformed one."""
    text = path.read_text(encoding="utf-8-sig")
    decoder = json.JSONDecoder()
    at = _skip(text, 0, " \t\r\n")
    if text[at : at + 1] != "[":
        raise UserError(f"{path}:1: expected a JSON array of objects")
    at = _skip(text, at + 1, " \t\r\n")
    while text[at : at + 1] != "]":
        line = text.count("\n", 0, at) + 1
        try:
            content, at = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            raise UserError(f"{path}:{error.lineno}: not JSON: {error.msg}") from None
        if not isinstance(content, dict):
            raise UserError(f"{path}:{line}: expected an object, found {content!r}")
        yield line, content
        at = _skip(text, at, " \t\r\n")
        if text[at : at + 1] not in (",", "]"):
            line = text.count("\n", 0, at) + 1
            raise UserError(f"{path}:{line}: not JSON: expected ',' or ']'")
        at = _skip(text, at, ", \t\r\n")


def _skip(text: str, at: int, characters: str) -> int:
    while at < len(text) and text[at] in characters:
        at += 1
    return at
