"""`wenmo inspect`: the sources of a task and the lengths of its rows, from what prepare wrote."""

from pathlib import Path

import pandas as pd

from wenmo.core.errors import UserError
from wenmo.tools.task_names import refuse_unknown

BAR_WIDTH = 50


def sources_table(task: str) -> str:
    """Markdown: a row per source and their sum, in characters without white space.

    Raises UserError for an unknown task, or if prepare has not run.
    """
    refuse_unknown([task])
    sources = _read(Path(f"metrics/prepare/{task}.csv"), "source", task).set_index("source")
    sources.loc["sum"] = sources.sum()
    shown = sources.map(lambda count: f"{count:,}")
    return str(
        shown.to_markdown(disable_numparse=True, colalign=["left"] + ["right"] * len(shown.T))
    )


def length_histogram(task: str) -> str:
    """A bar per bin of row lengths, in characters. Raises UserError as `sources_table` does."""
    lengths = _read(Path(f"plots/prepare/{task}.csv"), "characters", task)
    most = lengths["rows"].max()
    lines = (
        f"{characters:>6} {rows:>7,} {'█' * -(-rows * BAR_WIDTH // most)}"
        for characters, rows in lengths.itertuples(index=False)
    )
    return "\n".join(["  from    rows", *lines])


def _read(path: Path, first: str, task: str) -> pd.DataFrame:
    """A table that prepare wrote: the column `first`, and columns of whole numbers."""
    fault = "no such file"
    if path.is_file():
        fault = "not the table that prepare wrote"
        try:
            table = pd.read_csv(path)
        except ValueError:  # the base class of pandas' parser errors
            table = pd.DataFrame()
        numbers = table.drop(columns=first, errors="ignore").dtypes
        if first in table and len(numbers) and all(map(pd.api.types.is_integer_dtype, numbers)):
            return table
    raise UserError(f"{path}: {fault}; run `dvc repro prepare@{task}` first")
