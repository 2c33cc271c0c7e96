"""The rows that flow between stages, and their files: JSON Lines, the same bytes anywhere."""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from wenmo.errors import UserError


@dataclass(frozen=True)
class Row:
    """One example from prepare to merge: `output` is the passage, tale or poem to learn."""

    id: str
    source: str
    position: int
    instruction: str
    input: str
    output: str

    @property
    def prompt(self) -> str:
        """What the user says, as in Alpaca data: instruction, then input, a line each."""
        return "\n".join(part for part in (self.instruction, self.input) if part)


@dataclass(frozen=True)
class Generation:
    """What a model wrote for one prompt; `finish_reason` is `stop` or `length`."""

    id: str
    prompt: str
    reference: str
    text: str
    finish_reason: str
    tokens: int


Record = TypeVar("Record", Row, Generation)


def row_id(source: str, content: str) -> str:
    """sha256 of source and content, by which a line anywhere is traced back to its text."""
    return hashlib.sha256(f"{source}\0{content}".encode()).hexdigest()


def read_json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line number from 1, object) for each non-blank line. Raises UserError as path:line."""
    with path.open(encoding="utf-8") as file:
        try:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, _json_object(line, path, number)
        except UnicodeDecodeError as error:
            raise UserError(f"{path}: not UTF-8 ({error.reason} at byte {error.start})") from None


def string_fields(content: dict[str, Any], keys: tuple[str, ...], place: str) -> tuple[str, ...]:
    """The values of `keys`, all strings. Raises UserError starting with `place` otherwise."""
    for key in keys:
        if key not in content:
            raise UserError(f"{place}: key {key!r} is missing; expected {', '.join(keys)}")
        if not isinstance(content[key], str):
            raise UserError(f"{place}: {key!r} is {content[key]!r}; expected a string")
    return tuple(content[key] for key in keys)


def read_records(kind: type[Record], path: Path) -> list[Record]:
    """Rows or generations of one file. Raises UserError as path:line for a malformed one."""
    return [_record(kind, content, f"{path}:{n}") for n, content in read_json_lines(path)]


def write_records(path: Path, records: Iterable[Row | Generation]) -> None:
    """Write rows in the given order, keys in the fields' order."""
    write_json_lines(path, (asdict(record) for record in records))


def write_json_lines(path: Path, objects: Iterable[dict[str, Any]]) -> None:
    """Write objects one a line, atomically: a reader sees the old file or the whole new one."""
    write_text(path, "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in objects))


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write one object, indented for people, atomically."""
    write_text(path, json.dumps(content, ensure_ascii=False, indent=2) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 with LF, atomically: temporary file beside it, fsync, rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _json_object(line: str, path: Path, number: int) -> dict[str, Any]:
    try:
        content = json.loads(line)
    except json.JSONDecodeError as error:
        raise UserError(f"{path}:{number}: not JSON: {error.msg} at column {error.colno}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}:{number}: expected an object, found {type(content).__name__}")
    return content


def _record(kind: type[Record], content: dict[str, Any], place: str) -> Record:
    wanted: dict[str, Callable[..., Any]] = {field.name: field.type for field in fields(kind)}  # type: ignore[misc]
    if content.keys() != wanted.keys():
        raise UserError(f"{place}: keys are {list(content)}; expected {list(wanted)}")
    for key, type_ in wanted.items():
        if type(content[key]) is not type_:
            raise UserError(f"{place}: {key!r} is {content[key]!r}; expected {type_.__name__}")
    return kind(**content)
