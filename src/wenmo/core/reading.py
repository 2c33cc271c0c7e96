"""Reading what other stages wrote: a file that will not do is told with the stage to run."""

import json
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from wenmo.core.errors import UserError
from wenmo.core.records import (
    Generation,
    HeldOutLoss,
    Record,
    Row,
    located_records,
    read_records,
)


def read_rows(path: Path, stage: str) -> list[Row]:
    """The rows that `stage` wrote, each with a text to learn.

    Raises UserError if there is no such file, no row in it, a malformed one or one without a text.
    """
    return [row for _, row in located_rows(path, stage)]


def located_rows(path: Path, stage: str) -> Iterator[tuple[int, Row]]:
    """The rows as they are read, each with the offset of its line in bytes.

    Raises UserError as `read_rows` does.
    """
    number = 0
    for number, (offset, row) in enumerate(located_records(Row, made(path, stage)), start=1):
        if not row.output.strip():
            raise UserError(
                "{path}: row {number}: the output is empty; run `dvc repro {stage}`",
                path=path,
                number=number,
                stage=stage,
            )
        yield offset, row
    if not number:
        raise UserError("{path}: no rows; run `dvc repro {stage}`", path=path, stage=stage)


class RowsOnDisk:
    """The rows that `stage` wrote, which each loop reads anew, so that any number of them fits.

    Raises UserError if there is no such file, and in a loop as `read_rows` does.
    """

    def __init__(self, path: Path, stage: str) -> None:
        self._path, self._stage = made(path, stage), stage

    def __len__(self) -> int:
        """The number of lines."""
        with self._path.open("rb") as file:
            return sum(1 for _ in file)

    def __iter__(self) -> Iterator[Row]:
        return (row for _, row in located_rows(self._path, self._stage))


def read_prompts(path: Path, stage: str) -> list[Row]:
    """Rows to answer, of which there may be none.

    Raises UserError if there is no such file or a malformed row.
    """
    return _read(Row, path, stage)


def read_generations(path: Path, rows: Sequence[Row], stage: str) -> list[Generation]:
    """The texts that a model wrote for `rows`, equally many per row, in the rows' order.

    Raises UserError if there is no such file, or for a text that is malformed, missing, one too
    many or of another row.
    """
    written = _read(Generation, path, stage)
    draws = max(1, len(written) // len(rows))
    _refuse_other_rows(path, written, [row for row in rows for _ in range(draws)], stage)
    return written


def read_losses(path: Path, rows: Sequence[Row], stage: str) -> list[float]:
    """A model's held-out losses in nats per character, one per row, in the rows' order.

    Raises UserError as `read_generations` does.
    """
    losses = _read(HeldOutLoss, path, stage)
    _refuse_other_rows(path, losses, rows, stage)
    return [each.loss_per_character for each in losses]


def read_scores(path: Path, stage: str) -> dict[str, Any]:
    """What evaluate found: {"base": scores, "tuned": scores, "delta": comparison, …}.

    Raises UserError if there is no such file or it is none of scores.
    """
    try:
        scores = json.loads(made(path, stage).read_text(encoding="utf-8"))
        if {"base", "tuned", "delta"} <= scores.keys():
            return dict(scores)
    except (ValueError, AttributeError):
        pass
    raise UserError(
        "{path}: no scores of base and tuned; run `dvc repro {stage}`", path=path, stage=stage
    )


def made(path: Path, stage: str) -> Path:
    """The path of a file that `stage` wrote. Raises UserError if it is not there."""
    if not path.is_file():
        raise UserError("{path}: no such file; run `dvc repro {stage}`", path=path, stage=stage)
    return path


def _refuse_other_rows(
    path: Path, found: Sequence[Generation | HeldOutLoss], rows: Sequence[Row], stage: str
) -> None:
    for number, (row, each) in enumerate(zip_longest(rows, found), start=1):
        if row is None:
            raise UserError(
                "{path}:{number}: expected no more lines; run `dvc repro {stage}`",
                path=path,
                number=number,
                stage=stage,
            )
        if each is None or each.id != row.id:
            raise UserError(
                "{path}:{number}: expected one of {source} row {position}; run `dvc repro {stage}`",
                path=path,
                number=number,
                source=row.source,
                position=row.position,
                stage=stage,
            )


def _read(kind: type[Record], path: Path, stage: str) -> list[Record]:
    return read_records(kind, made(path, stage))
