"""The rows that flow between stages, and their files: JSON Lines, the same bytes anywhere."""

import codecs
import csv
import hashlib
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from wenmo.core.errors import UserError
from wenmo.core.outside import bounded_lines, opened, parse_json
from wenmo.core.replacing import replaced_file

Turn = tuple[str, str]
"""A prompt and its answer."""


@dataclass(frozen=True)
class Row:
    """One example from prepare to merge: `output` is the passage, tale or poem to learn.

    `history` are the turns before this one, the first one first; rows of one turn have none.
    """

    id: str
    source: str
    position: int
    instruction: str
    input: str
    output: str
    history: tuple[Turn, ...] = ()

    @property
    def prompt(self) -> str:
        """What the user says, as in Alpaca data: instruction, then input, a line each."""
        return "\n".join(part for part in (self.instruction, self.input) if part)


@dataclass(frozen=True)
class Generation:
    """What a model wrote for one prompt; `finish_reason` is `stop` or `length`.

    `verse` is `generate.verse`, the rule that a poem was decoded by.
    """

    id: str
    prompt: str
    reference: str
    text: str
    finish_reason: str
    tokens: int
    verse: str = "free"


@dataclass(frozen=True)
class HeldOutLoss:
    """The loss of a model on a held-out row's own text, in nats per character."""

    id: str
    loss_per_character: float


Record = TypeVar("Record", Row, Generation, HeldOutLoss)

HISTORY = "history"


def row_id(source: str, content: str) -> str:
    """sha256 of source and content. `wenmo trace` finds the text of a line by it."""
    return hashlib.sha256(f"{source}\0{content}".encode()).hexdigest()


def stop(error: UserError) -> None:
    """Raise the error: what a reader does about a malformed line unless it is given another way."""
    raise error


def read_json_lines(
    path: Path, refuse: Callable[[UserError], None] = stop
) -> Iterator[tuple[str, dict[str, Any]]]:
    """(place as path:line, object) for each non-blank line.

    A malformed line is handed to `refuse`, which raises or lets the reading go on without it.
    """
    for _, place, content in _located_lines(path, refuse):
        yield place, content


def read_records(kind: type[Record], path: Path) -> list[Record]:
    """The records of one file. Raises UserError as path:line for a malformed one."""
    return [record for _, record in located_records(kind, path)]


def located_records(kind: type[Record], path: Path) -> Iterator[tuple[int, Record]]:
    """The records of one file as they are read, each with the offset of its line in bytes.

    Raises UserError as `read_records` does.
    """
    for offset, place, content in _located_lines(path, stop):
        yield offset, as_record(kind, content, place)


def write_records(path: Path, records: Iterable[Row | Generation | HeldOutLoss]) -> None:
    """Write records in the given order."""
    write_json_lines(path, map(record_content, records))


def record_content(record: Row | Generation | HeldOutLoss) -> dict[str, Any]:
    """A record as it is written: keys in the fields' order, without those by default."""
    values = ((field, getattr(record, field.name)) for field in fields(record))
    return {field.name: value for field, value in values if value != field.default}


def write_json_lines(path: Path, objects: Iterable[dict[str, Any]]) -> None:
    """Write one object per line, atomically: a reader sees the old file or the whole new one."""
    with replaced_file(path) as file:
        for each in objects:
            file.write(json_line(each))


def json_line(content: dict[str, Any]) -> str:
    """One object as a line of JSON Lines."""
    return json.dumps(content, ensure_ascii=False) + "\n"


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write one object, indented for people, atomically."""
    write_text(path, json.dumps(content, ensure_ascii=False, indent=2) + "\n")


def write_csv(path: Path, lines: Sequence[dict[str, Any]]) -> None:
    """Write a table with a header, atomically; every line has the first one's keys."""
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, list(lines[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    write_text(path, table.getvalue())


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 with LF, atomically."""
    with replaced_file(path) as file:
        file.write(text)


def _located_lines(
    path: Path, refuse: Callable[[UserError], None]
) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """(offset in bytes, place as path:line, object) for each non-blank line."""
    with opened(path) as file:
        for number, line in bounded_lines(file, path, refuse):
            place, offset = f"{path}:{number}", file.tell() - len(line)
            if number == 1 and line.startswith(codecs.BOM_UTF8):
                offset, line = len(codecs.BOM_UTF8), line.removeprefix(codecs.BOM_UTF8)
            if not line.strip():
                continue
            try:
                content = parse_json(line)
            except ValueError as error:
                refuse(UserError("{place}: {error}", place=place, error=error))
            else:
                if isinstance(content, dict):
                    yield offset, place, content
                else:
                    kind = type(content).__name__
                    refuse(
                        UserError(
                            "{place}: expected an object, found {kind}", place=place, kind=kind
                        )
                    )


def as_record(kind: type[Record], content: dict[str, Any], place: str) -> Record:
    """The record with this content. Raises UserError that opens with the place."""
    wanted: dict[str, Callable[..., Any]] = {field.name: field.type for field in fields(kind)}  # type: ignore[misc]
    needed = {field.name for field in fields(kind) if field.default is MISSING}
    if not needed <= content.keys() <= wanted.keys():
        raise UserError(
            "{place}: keys are {keys}; expected {wanted}",
            place=place,
            keys=list(content),
            wanted=list(wanted),
        )
    if wanted.pop(HISTORY, None) and HISTORY in content:
        content = content | {HISTORY: turns(content[HISTORY], place)}
    for key, type_ in wanted.items():
        if key in content and type(content[key]) is not type_:
            raise UserError(
                "{place}: {key!r} is {value!r}; expected {type}",
                place=place,
                key=key,
                value=content[key],
                type=type_.__name__,
            )
    return kind(**content)


def turns(found: Any, place: str) -> tuple[Turn, ...]:
    """The turns of a history as JSON has them. Raises UserError that opens with the place."""
    listed = found if isinstance(found, list) else [found]
    for turn in listed:
        if not isinstance(turn, list) or [type(each) for each in turn] != [str, str]:
            raise UserError(
                "{place}: {history!r} has {turn!r}; expected [prompt, answer]",
                place=place,
                history=HISTORY,
                turn=turn,
            )
    return tuple((prompt, answer) for prompt, answer in listed)
