"""A task's rows on disk, a file per source: reading and writing them without holding them all."""

import json
import os
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Protocol, TextIO

from wenmo.core.errors import UserError
from wenmo.core.reading import located_rows
from wenmo.core.records import Row, as_record, json_line, record_content
from wenmo.core.replacing import synchronize

OPEN_FILES = 16
"""Source files that are open at a time: near-duplicates stand in different ones."""

OFFSET = 8
"""Bytes of an offset."""


def source_files(folder: Path, stage: str) -> list[Path]:
    """The files of a task's sources, by name. Raises UserError if there is none."""
    files = sorted(folder.glob("*.jsonl"))
    if not files:
        raise UserError("{path}: no rows; run `dvc repro {stage}`", path=folder, stage=stage)
    return files


def rows_of_file(path: Path, stage: str) -> Iterator[tuple[int, Row]]:
    """The rows of a source's file as they are read, each with the offset of its line in bytes.

    Raises UserError if there is no row, for a malformed one, one without a text, one of another
    source and one whose position is not after the row before.
    """
    before = -1
    for number, (offset, row) in enumerate(located_rows(path, stage), start=1):
        if f"{row.source}.jsonl" != path.name:
            raise UserError(
                "{path}: row {number}: its source is {source!r}, which has a file of its own; run"
                " `dvc repro {stage}`",
                path=path,
                number=number,
                source=row.source,
                stage=stage,
            )
        if row.position <= before:
            raise UserError(
                "{path}: row {number}: its position {position} is not after {before}; run"
                " `dvc repro {stage}`",
                path=path,
                number=number,
                position=row.position,
                before=before,
                stage=stage,
            )
        before = row.position
        yield offset, row


def rows_of_sources(folder: Path, stage: str) -> Iterator[Row]:
    """All rows of a task, source by source. Raises UserError as `rows_of_file` does."""
    for path in source_files(folder, stage):
        for _, row in rows_of_file(path, stage):
            yield row


class Rows(Protocol):
    """Numbered rows, source by source and there by position: a list, or rows on disk."""

    def __len__(self) -> int: ...
    def __getitem__(self, number: int, /) -> Row: ...
    def __iter__(self) -> Iterator[Row]: ...


class RowFiles:
    """All rows of a task on disk, numbered, each of which is read when it is asked for.

    `scratch` is where the file without a name is that holds the offsets of their lines. Raises
    UserError as `rows_of_file` does.
    """

    def __init__(self, folder: Path, stage: str, scratch: Path) -> None:
        self._paths = source_files(folder, stage)
        self._starts, self._count = list[int](), 0
        self._open: dict[int, IO[bytes]] = {}
        self._offsets = TemporaryFile(dir=scratch)  # noqa: SIM115
        for path in self._paths:
            self._starts.append(self._count)
            for offset, _ in rows_of_file(path, stage):
                self._offsets.write(offset.to_bytes(OFFSET, "little"))
                self._count += 1
        self._offsets.flush()

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: int) -> Row:
        file = self._file(bisect_right(self._starts, number) - 1)
        offset = os.pread(self._offsets.fileno(), OFFSET, OFFSET * number)
        file.seek(int.from_bytes(offset, "little"))
        return as_record(Row, json.loads(file.readline()), str(file.name))

    def __iter__(self) -> Iterator[Row]:
        return (self[number] for number in range(len(self)))

    def numbered(self, numbers: Iterable[int]) -> Iterator[Row]:
        """The rows with these numbers, in their order."""
        return (self[int(number)] for number in numbers)

    def close(self) -> None:
        """Close the files that are open."""
        self._offsets.close()
        while self._open:
            self._open.popitem()[1].close()

    def _file(self, of_source: int) -> IO[bytes]:
        if of_source not in self._open:
            if len(self._open) == OPEN_FILES:
                self._open.pop(next(iter(self._open))).close()
            self._open[of_source] = self._paths[of_source].open("rb")
        return self._open[of_source]


class SourceWriter:
    """Writes rows as they come, each into the file of its source in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._source = ""
        self._file: TextIO | None = None

    def __enter__(self) -> "SourceWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self._finish()

    def write(self, rows: Iterable[Row]) -> None:
        """Append rows to their sources' files."""
        for row in rows:
            if self._file is None or row.source != self._source:
                self._finish()
                path = self._folder / f"{row.source}.jsonl"
                self._source, self._file = (
                    row.source,
                    path.open("a", encoding="utf-8", newline="\n"),
                )
            self._file.write(json_line(record_content(row)))

    def _finish(self) -> None:
        if self._file is not None:
            with self._file as file:
                synchronize(file)
            self._file = None
