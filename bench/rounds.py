"""Contenders measured in turn, and their measurements in tables.

Other work on the machine slows the contender that runs at that moment. So no contender has all its
repeats in a row: each round has every contender once, every other round in the opposite order, and
contenders are compared within a round.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median
from typing import NamedTuple

from tqdm import tqdm

Measurement = dict[str, float]
"""What one run took (`seconds`) and did, and other quantities by name."""

Runs = dict[str, list[Measurement]]
"""The measurements of each contender, round by round."""


class Spread(NamedTuple):
    """The median of some numbers with the least and the greatest of them."""

    median: float
    low: float
    high: float

    def shown(self, decimals: int = 1) -> str:
        """The median with the range in brackets, unless all three look the same."""
        middle, low, high = (f"{number:,.{decimals}f}" for number in self)
        return middle if low == high else f"{middle} ({low} to {high})"


def in_turn(contenders: Mapping[str, Callable[[], Measurement]], rounds: int, label: str) -> Runs:
    """Measure every contender once per round; without `seconds` of its own it is timed here."""
    runs: Runs = {name: [] for name in contenders}
    names = [*contenders]
    turns = [name for number in range(rounds) for name in names[:: -1 if number % 2 else 1]]
    for name in tqdm(turns, desc=label, unit="run"):
        started = time.perf_counter()
        measured = contenders[name]()
        runs[name].append({"seconds": time.perf_counter() - started} | measured)
    return runs


def spread(numbers: Sequence[float]) -> Spread:
    """The spread of at least one number."""
    return Spread(median(numbers), min(numbers), max(numbers))


def quantity(runs: Sequence[Measurement], name: str = "seconds") -> Spread:
    """A quantity of each run."""
    return spread([run[name] for run in runs])


def rate(runs: Sequence[Measurement], name: str) -> Spread:
    """A quantity per second, of each run."""
    return spread([run[name] / run["seconds"] for run in runs])


def milliseconds(runs: Sequence[Measurement], name: str) -> Spread:
    """Milliseconds per unit of a quantity, of each run."""
    return spread([1000 * run["seconds"] / run[name] for run in runs])


def ratio(ours: Sequence[Measurement], theirs: Sequence[Measurement], name: str) -> Spread:
    """Our quantity per second over theirs, round by round."""
    pairs = zip(ours, theirs, strict=True)
    return spread([a[name] / a["seconds"] / (b[name] / b["seconds"]) for a, b in pairs])


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown; all columns but the first hold numbers."""
    lines = [heads, [":--", *["--:"] * (len(heads) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def contender_table(runs: Runs, columns: Mapping[str, Callable[[list[Measurement]], str]]) -> str:
    """A row per contender; each column has a heading and a function of the contender's runs."""
    rows = ([name, *(cell(own) for cell in columns.values())] for name, own in runs.items())
    return table(["", *columns], rows)
