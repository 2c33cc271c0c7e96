"""Revisions side by side in a terminal: Markdown tables, then texts in columns."""

import shutil
from collections.abc import Iterator, Sequence

import pandas as pd

from wenmo.core.language import N_, gettext
from wenmo.core.records import Generation
from wenmo.report.names import TASK_NAMES, better_direction, score_name
from wenmo.scoring.catalogue import primary_score
from wenmo.text.control_characters import visible
from wenmo.tools.compare.comparison import Comparison, Improvement, Pair, RowTexts, TaskComparison

NOTHING, EMPTY = "–", "（空）"
PARAMETERS_THAT_DIFFER = N_("Parameters that differ")
SAME_PARAMETERS = N_("No parameter differs.")
WHAT_IMPROVEMENTS_ARE = N_(
    "An improvement is the mean difference on the same held-out rows, with its 95% interval;"
    " positive is better for every score. p values of other than the primary score, which comes"
    " first, are corrected for their number (Holm)."
)
_COLUMN, _LEAST_COLUMN = 40, 12
# The size that is assumed where there is no terminal.
_SIZE = (100, 24)


def terminal_page(comparison: Comparison, texts: int) -> str:
    """The whole comparison, with the texts of the first `texts` prompts of each task."""
    parts = [", ".join(titles(comparison)), "## " + gettext(PARAMETERS_THAT_DIFFER)]
    parts.append(
        parameters_table(comparison) if comparison.parameters else gettext(SAME_PARAMETERS)
    )
    for task in comparison.tasks:
        parts.append(f"## {TASK_NAMES[task.task]}")
        parts.append("\n".join(f"- {line}" for line in told(task, comparison.names[0])))
        parts.append(scores_table(task, comparison.names))
        for number, row in enumerate(task.texts[:texts], 1):
            parts.append(f"### {number}. {row.prompt}")
            parts.append(texts_table(row, comparison.names))
    if any(line.improvements for task in comparison.tasks for line in task.scores):
        parts.append(gettext(WHAT_IMPROVEMENTS_ARE))
    return visible("\n\n".join(parts))


def titles(comparison: Comparison) -> list[str]:
    """The name of each revision, with the commit that it stands for."""
    return [
        f"{name} ({commit[:7]})" if commit and not commit.startswith(name) else name
        for name, commit in zip(comparison.names, comparison.commits, strict=True)
    ]


def told(task: TaskComparison, first: str) -> Iterator[str]:
    """For each revision a sentence about the primary score, then what a reader has to know."""
    for index, pair in enumerate(task.pairs):
        yield headline(task, index, first)
        yield from pair.notes
    yield from task.notes


def headline(task: TaskComparison, index: int, first: str) -> str:
    """Whether the revision of that pair writes better than the first, by the primary score."""
    pair = task.pairs[index]
    key = primary_score(task.task)
    found = (line.improvements[index] for line in task.scores if line.key == key)
    improvement = next(found, None)
    if improvement is None or pair.primary_values is None:
        return gettext(
            "between {name} and {first} no difference can be told", name=pair.name, first=first
        )
    before, after = pair.primary_values
    told = gettext(
        "{verdict}: {score} {after:.3f} instead of {before:.3f}, {gain} (95% interval {interval},"
        " p = {p:.4f}) over {rows} held-out rows, of which {wins} are better, {ties} equal and"
        " {losses} worse",
        verdict=gettext(_verdict(pair, improvement), name=pair.name, first=first),
        score=label(key),
        after=after,
        before=before,
        gain=signed(improvement.value),
        interval=interval(improvement),
        p=improvement.p,
        rows=pair.rows,
        **pair.outcomes,
    )
    return told + (gettext("; ") + pair.decoding if pair.decoding else "")


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
                gain = f"{signed(improvement.value)} ({interval(improvement)})"
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


def label(key: str) -> str:
    """The name of a score with its better direction."""
    return f"{score_name(key)} {better_direction(key)}".rstrip()


def number(value: float | None) -> str:
    """A score in three decimals, or a dash."""
    return NOTHING if value is None else f"{value:.3f}"


def signed(value: float) -> str:
    """A difference with its sign; zero has none."""
    return f"{value:+.3f}" if round(value, 3) else "0.000"


def interval(improvement: Improvement) -> str:
    """The bounds of an improvement's 95% interval."""
    return gettext("{low} to {high}", low=signed(improvement.low), high=signed(improvement.high))


def _verdict(pair: Pair, improvement: Improvement) -> str:
    if pair.outcomes["ties"] == pair.rows:
        return N_("{name} scores the same on every row as {first}")
    if not improvement.shown:
        return N_("{name} is not shown to differ from {first}")
    if improvement.value > 0:
        return N_("{name} is better than {first}")
    return N_("{name} is worse than {first}")


def _joined(texts: Sequence[Generation]) -> str:
    return "\n\n".join(each.text or EMPTY for each in texts) if texts else NOTHING
