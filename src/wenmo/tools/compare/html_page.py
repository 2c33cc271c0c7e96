"""Revisions side by side as one page that needs no network and no script; every text is escaped."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader

from wenmo.core.errors import UserError
from wenmo.core.records import write_text
from wenmo.report.names import SCORE_NAMES, TASK_NAMES
from wenmo.scoring.scorecard import primary_score
from wenmo.tools.compare import terminal
from wenmo.tools.compare.comparison import Comparison, Improvement, TaskComparison

TEMPLATE = Path(__file__).with_name("html_page.html.jinja")
STYLE = TEMPLATE.with_name("html_page.css")

_MOST_TICKS = 5


@dataclass(frozen=True)
class Mark:
    """An improvement on a picture: its dot and the ends of its interval, in percent of the width.

    `kind` is `better`, `worse` or, where chance is not ruled out, `unsure`.
    """

    label: str
    improvement: Improvement
    kind: str
    dot: float
    low: float
    high: float


@dataclass(frozen=True)
class Picture:
    """Improvements on one axis; `ticks` are places in percent and what stands there."""

    unit: str
    marks: list[Mark]
    zero: float
    ticks: list[tuple[float, str]]


def write_comparison(path: Path, comparison: Comparison) -> None:
    """Write the page. Raises UserError if `path` cannot be written."""
    templates = Environment(
        loader=FileSystemLoader(TEMPLATE.parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = templates.get_template(TEMPLATE.name).render(
        comparison=comparison,
        titles=terminal.titles(comparison),
        tasks=[(task, list(pictures(task))) for task in comparison.tasks],
        task_names=TASK_NAMES,
        score_names=SCORE_NAMES,
        primary_score=primary_score,
        tables=terminal,
        style=STYLE.read_text(encoding="utf-8"),
    )
    try:
        write_text(path, page + "\n")
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; --html names another file") from None


def pictures(task: TaskComparison) -> Iterator[Picture]:
    """One for all scores between 0 and 1, and one for each score in a unit of its own.

    The one with the primary score comes first.
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
            unit = "scores from 0 to 1" if lines is together else terminal.label(found[0][0])
            yield _picture(unit, found, name_revisions=len(task.pairs) > 1)


def _picture(
    unit: str, found: Sequence[tuple[str, str, Improvement]], name_revisions: bool
) -> Picture:
    bounds = [bound for _, _, each in found for bound in (each.low, each.high, each.value)]
    low, high = min(0.0, *bounds), max(0.0, *bounds)
    if low == high:
        low, high = -1.0, 1.0
    # Dots at the ends would be cut in half.
    margin = (high - low) / 20
    low, high = low - margin, high + margin

    def place(value: float) -> float:
        return round(100 * (value - low) / (high - low), 2)

    marks = [
        Mark(
            terminal.label(key) + (f" · {name}" if name_revisions else ""),
            each,
            ("better" if each.value > 0 else "worse") if each.shown else "unsure",
            place(each.value),
            place(each.low),
            place(each.high),
        )
        for key, name, each in found
    ]
    step = _step(high - low)
    decimals = max(0, -math.floor(math.log10(step)))
    ticks = [
        (place(number * step), f"{number * step:+.{decimals}f}" if number else "0")
        for number in range(math.ceil(low / step), math.floor(high / step) + 1)
    ]
    return Picture(unit, marks, place(0), ticks)


def _step(span: float) -> float:
    """1, 2 or 5 times a power of ten that parts the span into few pieces."""
    power = float(10 ** math.floor(math.log10(span)))
    return next(
        step
        for step in (power / 5, power / 2, power, power * 2, power * 5)
        if span / step <= _MOST_TICKS
    )
