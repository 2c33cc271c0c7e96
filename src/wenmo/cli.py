"""The command `wenmo`: what DVC has no command for."""

from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from wenmo.errors import UserError
from wenmo.tasks.task import TASKS

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)
BAR_WIDTH = 50


@app.callback()
def main() -> None:
    """Look at what the pipeline made. The pipeline itself is run by DVC: `dvc repro`."""


@app.command()
def inspect(
    task: Annotated[str, typer.Argument(help=f"one of {', '.join(TASKS)}")],
) -> None:
    """Show a task's sources: characters read and kept, rows, and characters left out by reason.

    Below it, how long the rows are. Reads what `dvc repro prepare@TASK` wrote.
    """
    try:
        typer.echo(sources_table(task))
        typer.echo()
        typer.echo(length_bars(task))
    except UserError as error:
        typer.echo(f"inspect: {error}", err=True)
        raise typer.Exit(error.exit_code) from None


def sources_table(task: str) -> str:
    """Markdown: a source a row and their sum; characters without white space."""
    sources = _read(Path(f"metrics/prepare/{task}.csv"), task).set_index("source")
    sources.loc["sum"] = sources.sum()
    shown = sources.map(lambda count: f"{count:,}")
    return str(
        shown.to_markdown(disable_numparse=True, colalign=["left"] + ["right"] * len(shown.T))
    )


def length_bars(task: str) -> str:
    """A bar for each step of length, in characters."""
    lengths = _read(Path(f"plots/prepare/{task}.csv"), task)
    most = lengths["rows"].max()
    lines = (
        f"{characters:>6} {rows:>7,} {'█' * -(-rows * BAR_WIDTH // most)}"
        for characters, rows in lengths.itertuples(index=False)
    )
    return "\n".join(["  from    rows", *lines])


def _read(path: Path, task: str) -> pd.DataFrame:
    if task not in TASKS:
        raise UserError(f"{task!r} is no task; allowed are {', '.join(TASKS)}")
    if not path.is_file():
        raise UserError(f"{path}: no such file; run `dvc repro prepare@{task}` first")
    return pd.read_csv(path)
