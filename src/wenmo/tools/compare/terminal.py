"""Revisions side by side in a terminal: Markdown tables, then texts in columns."""

import shutil
from collections.abc import Iterator, Sequence

import pandas as pd

from wenmo.core.language import gettext
from wenmo.core.records import Generation
from wenmo.report.names import TASK_NAMES
from wenmo.text.control_characters import visible
from wenmo.tools.compare.comparison import Comparison, RowTexts, TaskComparison
from wenmo.tools.compare.wording import (
    NOTHING,
    WHAT_IMPROVEMENTS_ARE,
    headline,
    interval,
    label,
    notes_of_pair,
    notes_of_task,
    number,
    signed,
)

EMPTY = "（空）"
_COLUMN, _LEAST_COLUMN = 40, 12
# The size that is assumed where there is no terminal.
_SIZE = (100, 24)


def terminal_page(comparison: Comparison, texts: int) -> str:
    """The whole comparison, with the texts of the first `texts` prompts of each task."""
    parts = [", ".join(titles(comparison)), "## " + gettext("Parameters that differ")]
    parts.append(
        parameters_table(comparison) if comparison.parameters else gettext("No parameter differs.")
    )
    for task in comparison.tasks:
        parts.append(f"## {TASK_NAMES[task.task]}")
        parts.append("\n".join(f"- {line}" for line in _told(task, comparison.names[0])))
        if task.is_same:
            continue
        parts.append(scores_table(task, comparison.names))
        for place, row in enumerate(task.texts[:texts], 1):
            parts.append(f"### {place}. {row.prompt}")
            parts.append(texts_table(row, comparison.names))
    if any(
        line.improvements for each in comparison.tasks if not each.is_same for line in each.scores
    ):
        parts.append(gettext(WHAT_IMPROVEMENTS_ARE))
    return visible("\n\n".join(parts))


def titles(comparison: Comparison) -> list[str]:
    """The name of each revision, with the commit that it stands for."""
    return [
        f"{name} ({commit[:7]})" if commit and not commit.startswith(name) else name
        for name, commit in zip(comparison.names, comparison.commits, strict=True)
    ]


def parameters_table(comparison: Comparison) -> str:
    """Markdown: a row per parameter with its value in each revision."""
    rows = [
        [key, *(NOTHING if value is None else value for value in values)]
        for key, values in comparison.parameters.items()
    ]
    table = pd.DataFrame(rows, columns=[gettext("parameter"), *comparison.names])
    return str(table.to_markdown(index=False, disable_numparse=True, maxcolwidths=_COLUMN))


def scores_table(task: TaskComparison, names: Sequence[str]) -> str:
    """Markdown: a row per score with each revision's value and improvement over the first."""
    rows = []
    for line in task.scores:
        row = [label(line.key), number(line.values[0])]
        for value, improvement in zip(line.values[1:], line.improvements, strict=True):
            row += [number(value), "", ""]
            if improvement:
                gain = gettext(
                    "{gain} ({interval})",
                    gain=signed(improvement.value),
                    interval=interval(improvement),
                )
                row[-2:] = gain, f"{improvement.p:.4f}"
        rows.append(row)
    heads = [head for name in names[1:] for head in (name, gettext("improvement"), "p")]
    table = pd.DataFrame(rows, columns=[gettext("score"), names[0], *heads])
    alignment = ["left"] + ["right"] * (len(heads) + 1)
    return str(table.to_markdown(index=False, disable_numparse=True, colalign=alignment))


def texts_table(row: RowTexts, names: Sequence[str]) -> str:
    """Columns: reference, base and what each revision wrote, as wide as the terminal allows."""
    base = gettext("base ({name})", name=names[0])
    cells = {gettext("reference"): row.reference, base: _joined(row.base)}
    cells |= {name: _joined(texts) for name, texts in zip(names, row.tuned, strict=True)}
    width = shutil.get_terminal_size(_SIZE).columns // len(cells) - 2
    table = pd.DataFrame([cells])
    return str(
        table.to_markdown(
            index=False,
            tablefmt="simple",
            disable_numparse=True,
            maxcolwidths=max(width, _LEAST_COLUMN),
            maxheadercolwidths=max(width, _LEAST_COLUMN),
        )
    )


def _told(task: TaskComparison, first: str) -> Iterator[str]:
    """For each revision a sentence about the primary score, then what a reader has to know."""
    for index, pair in enumerate(task.pairs):
        if task.is_same:
            yield gettext(
                "{name} and {first} have the same scores and texts", name=pair.name, first=first
            )
        else:
            yield headline(task, index, first)
        yield from notes_of_pair(pair, first)
    yield from notes_of_task(task)


def _joined(texts: Sequence[Generation]) -> str:
    return "\n\n".join(each.text or EMPTY for each in texts) if texts else NOTHING
