"""Contenders measured in turn, and what their measurements come to.

Other work on the machine slows whoever runs at that moment. So nobody runs all repeats in a row:
each round has every contender once, every other round in the opposite order, and contenders are
compared within a round.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from tqdm import tqdm

Measurement = dict[str, float]
"""What one run took and did: `seconds`, and other quantities by name."""

Runs = dict[str, list[Measurement]]
"""The measurements of each contender, round by round."""


@dataclass(frozen=True)
class Spread:
    """The median of some numbers with the least and the greatest of them."""

    median: float
    low: float
    high: float

    def shown(self, decimals: int = 1) -> str:
        """As a table has it; exactly, what is the same each time."""
        middle, low, high = (f"{n:,.{decimals}f}" for n in (self.median, self.low, self.high))
        return middle if low == high else f"{middle} ({low} to {high})"


def spread(numbers: Sequence[float]) -> Spread:
    """Of at least one number."""
    return Spread(median(numbers), min(numbers), max(numbers))


def in_turn(contenders: Mapping[str, Callable[[], Measurement]], rounds: int, label: str) -> Runs:
    """Measure every contender once a round. What has no `seconds` of its own is timed here."""
    runs: Runs = {name: [] for name in contenders}
    with tqdm(total=rounds * len(contenders), desc=label, unit="run") as progress:
        for number in range(rounds):
            for name in list(contenders)[:: -1 if number % 2 else 1]:
                progress.set_postfix_str(name)
                started = time.perf_counter()
                measured = contenders[name]()
                seconds = time.perf_counter() - started
                runs[name].append({"seconds": seconds} | measured)
                progress.update()
    return runs


def duration(runs: Sequence[Measurement]) -> Spread:
    """The seconds of runs."""
    return spread([run["seconds"] for run in runs])


def rates(runs: Sequence[Measurement], quantity: str) -> list[float]:
    """So much of a quantity a second, for each run."""
    return [run[quantity] / run["seconds"] for run in runs]


def times_faster(ours: Sequence[Measurement], theirs: Sequence[Measurement], what: str) -> Spread:
    """How many times as much of a quantity a second we do, round by round."""
    return spread([a / b for a, b in zip(rates(ours, what), rates(theirs, what), strict=True)])
