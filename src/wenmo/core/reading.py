"""Reading what other stages wrote: a file that will not do is told with the stage to run."""

import json
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from wenmo.core.errors import UserError
from wenmo.core.records import Generation, HeldOutLoss, Record, Row, read_records


def read_rows(path: Path, stage: str) -> list[Row]:
    """The rows that `stage` wrote, each with a text to learn.

    Raises UserError if there is no such file, no row in it, a malformed one or one without a text.
    """
    rows = read_prompts(path, stage)
    if not rows:
        raise UserError(f"{path}: no rows; run `dvc repro {stage}`")
    for number, row in enumerate(rows, start=1):
        if not row.output.strip():
            raise UserError(f"{path}: row {number}: the output is empty; run `dvc repro {stage}`")
    return rows


def read_prompts(path: Path, stage: str) -> list[Row]:
    """Rows to answer, of which there may be none.

    Raises UserError if there is no such file or a malformed row.
    """
    return _read(Row, path, stage)


def read_sources(folder: Path, stage: str) -> dict[str, list[Row]]:
    """The rows of every source of a task, by the name of its file.

    Raises UserError as `read_rows` does, for an empty folder and for a row in another one's file.
    """
    files = sorted(folder.glob("*.jsonl"))
    if not files:
        raise UserError(f"{folder}: no rows; run `dvc repro {stage}`")
    sources = {path.name: read_rows(path, stage) for path in files}
    for name, rows in sources.items():
        for number, row in enumerate(rows, start=1):
            if f"{row.source}.jsonl" != name:
                raise UserError(
                    f"{folder / name}: row {number}: its source is {row.source!r}, which has a file"
                    f" of its own; run `dvc repro {stage}`"
                )
    return sources


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
    raise UserError(f"{path}: no scores of base and tuned; run `dvc repro {stage}`")


def made(path: Path, stage: str) -> Path:
    """The path of a file that `stage` wrote. Raises UserError if it is not there."""
    if not path.is_file():
        raise UserError(f"{path}: no such file; run `dvc repro {stage}`")
    return path


def _refuse_other_rows(
    path: Path, found: Sequence[Generation | HeldOutLoss], rows: Sequence[Row], stage: str
) -> None:
    for number, (row, each) in enumerate(zip_longest(rows, found), start=1):
        if row is None or each is None or each.id != row.id:
            expected = f"one of {row.source} row {row.position}" if row else "no more lines"
            raise UserError(f"{path}:{number}: expected {expected}; run `dvc repro {stage}`")


def _read(kind: type[Record], path: Path, stage: str) -> list[Record]:
    return read_records(kind, made(path, stage))
