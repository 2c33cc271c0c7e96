"""What a stage reads of what other stages wrote; one that will not do names the stage to run."""

from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path

from wenmo.core.errors import UserError
from wenmo.core.records import Generation, Record, Row, read_records


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


def read_generations(
    folder: Path, rows: Sequence[Row], draws: int, stage: str
) -> tuple[list[Generation], list[Generation]]:
    """What base and tuned wrote for `rows`: so many texts of each, in the rows' order.

    Raises UserError if a file is not there, or for a text that is malformed, missing, one too many
    or of another row.
    """
    files = folder / "eval.base.jsonl", folder / "eval.tuned.jsonl"
    base, tuned = (_read(Generation, path, stage) for path in files)
    wanted = [row for row in rows for _ in range(draws)]
    for path, written in zip(files, (base, tuned), strict=True):
        for number, (row, found) in enumerate(zip_longest(wanted, written), start=1):
            if row is None or found is None or found.id != row.id:
                expected = f"a text of {row.source} row {row.position}" if row else "no more texts"
                raise UserError(f"{path}:{number}: expected {expected}; run `dvc repro {stage}`")
    return base, tuned


def made(path: Path, stage: str) -> Path:
    """The path of a file that `stage` wrote. Raises UserError if it is not there."""
    if not path.is_file():
        raise UserError(f"{path}: no such file; run `dvc repro {stage}`")
    return path


def _read(kind: type[Record], path: Path, stage: str) -> list[Record]:
    return read_records(kind, made(path, stage))
