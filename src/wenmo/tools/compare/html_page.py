"""Revisions side by side as one page without network, in which all texts are escaped."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from wenmo.report.both_languages import Both, both, in_both
from wenmo.report.charts import axis
from wenmo.report.names import TASK_NAMES, score_name
from wenmo.scoring.catalogue import primary_score
from wenmo.tools.compare import terminal, wording
from wenmo.tools.compare.comparison import Comparison, Improvement, TaskComparison
from wenmo.tools.html_page import write_page

TEMPLATE = Path(__file__).with_name("html_page.html.jinja")
STYLE = TEMPLATE.with_name("html_page.css")


@dataclass(frozen=True)
class Mark:
    """An improvement on a picture: its dot and the ends of its interval, in percent of the width.

    `kind` is `better`, `worse` or, where chance is not ruled out, `unsure`.
    """

    label: Both
    improvement: Improvement
    kind: str
    dot: float
    low: float
    high: float


@dataclass(frozen=True)
class Picture:
    """Improvements on one axis; `ticks` are places in percent with their labels."""

    unit: Both
    marks: list[Mark]
    zero: float
    ticks: list[tuple[float, str]]


def write_comparison(path: Path, comparison: Comparison) -> None:
    """Write the page. Raises UserError if `path` cannot be written."""
    write_page(
        path,
        TEMPLATE,
        [STYLE],
        comparison=comparison,
        first=comparison.names[0],
        titles=terminal.titles(comparison),
        tasks=[(task, list(pictures(task))) for task in comparison.tasks],
        task_names=TASK_NAMES,
        score_name=score_name,
        primary_score=primary_score,
        wording=wording,
        empty=terminal.EMPTY,
    )


def pictures(task: TaskComparison) -> Iterator[Picture]:
    """A picture of all scores between 0 and 1, and one of each score that has its own unit.

    The picture with the primary score comes first.
    """
    together = [line for line in task.scores if line.is_share]
    apart = [[line] for line in task.scores if not line.is_share]
    for lines in sorted([together, *apart], key=lambda lines: task.scores[0] not in lines):
        found = [
            (line.key, pair.name, improvement)
            for line in lines
            for pair, improvement in zip(task.pairs, line.improvements, strict=True)
            if improvement is not None
        ]
        if found:
            is_share = lines is together
            unit = both("scores from 0 to 1") if is_share else in_both(wording.label, found[0][0])
            yield _picture(unit, found, name_revisions=len(task.pairs) > 1)


def _picture(
    unit: Both, found: Sequence[tuple[str, str, Improvement]], name_revisions: bool
) -> Picture:
    ends = [end for _, _, each in found for end in (each.low, each.high, each.value)]
    x = axis([0.0, *ends], 0, 100)

    def place(value: float) -> float:
        return round(x.at(value), 2)

    marks = [
        Mark(
            in_both(_label, key, name if name_revisions else ""),
            each,
            ("better" if each.value > 0 else "worse") if each.shown else "unsure",
            place(each.value),
            place(each.low),
            place(each.high),
        )
        for key, name, each in found
    ]
    return Picture(unit, marks, place(0), [(round(at, 2), label) for at, label in x.ticks()])


def _label(key: str, revision: str) -> str:
    return " · ".join(filter(None, [wording.label(key), revision]))
