"""Which rows are learnt from and which are held out."""

import hashlib
from dataclasses import dataclass

from wenmo.params import Fraction, PositiveInt, Section
from wenmo.records import Row


class MergeParams(Section):
    """Section `merge`."""

    eval_fraction: Fraction
    max_eval_rows: PositiveInt
    max_train_rows: PositiveInt


@dataclass(frozen=True)
class Split:
    """Training rows, held-out rows, and how many were left out for which reason."""

    train: list[Row]
    eval: list[Row]
    dropped: dict[str, int]


def split(rows: list[Row], params: MergeParams, seed: int) -> Split:
    """Hold out a fraction of the rows, chosen by a hash of seed and id.

    A row's draw does not depend on the other rows, so an edited poem moves no other poem. Rows
    with the same output count once, so nothing held out was seen in training.
    """
    unique = list({row.output: row for row in reversed(rows)}.values())
    drawn = sorted(unique, key=lambda row: hashlib.sha256(f"{seed}/{row.id}".encode()).digest())
    count = min(params.max_eval_rows, max(1, round(len(drawn) * params.eval_fraction)))
    held_out, learnt = drawn[:count], drawn[count:]
    kept = learnt[: params.max_train_rows]
    dropped = {"duplicate": len(rows) - len(unique), "over_limit": len(learnt) - len(kept)}
    return Split(in_order(kept), in_order(held_out), dropped)


def in_order(rows: list[Row]) -> list[Row]:
    """Rows by source and position."""
    return sorted(rows, key=lambda row: (row.source, row.position))
