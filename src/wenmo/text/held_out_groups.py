"""Which groups of rows are held out.

Whether a group is held out depends only on a hash of the seed and the group's key, so that an added
book moves no other row. If there are too few sources or blocks for that, smaller blocks are chosen,
and as many of them are held out as come nearest to the share of rows that is asked for.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wenmo.config.merge import MergeParams
from wenmo.core.row_files import Rows
from wenmo.text.groups import Groups, Unit, hash64, numbers
from wenmo.text.near_duplicates import Sketches, pairs

Mask = NDArray[np.bool_]

TOO_FEW = 0.5
"""Sources or blocks are too few if no more of them than this are to be held out on average.

One of them would be twice the share that is asked for.
"""


@dataclass(frozen=True)
class HeldOut:
    """What was held out: the unit, for each row the root of its group, the rows themselves."""

    unit: Unit
    roots: NDArray[np.uint32]
    rows: Mask


def hold_out(
    rows: Rows, kept: Mask, params: MergeParams, seed: int, sketches: Sketches, folder: Path
) -> HeldOut | None:
    """Hold some groups of the kept rows out.

    The groups are those that the parameters name, or else the largest blocks of which there are
    enough. Two rows at least are held out, without which nothing can be compared, and one group is
    not. None if there are too few groups for that.
    """
    for unit in units(params):
        groups = Groups(rows, kept, unit, folder)
        if not params.drop_near_duplicates:
            jaccard = params.near_duplicate_jaccard
            for earlier, later in pairs(rows, sketches, kept, jaccard, groups.are_one):
                groups.join(earlier, later)
        roots = groups.roots()
        own = roots_of(roots, kept)
        drawn = (draw(seed, unit.key(rows[root])) for root in numbers(own))
        draws = np.fromiter(drawn, np.float64, int(own.sum()))
        sizes = np.bincount(roots[kept], minlength=len(roots))[own]
        if (chosen := lowest(draws, sizes, unit, params)) is not None:
            is_held_out = np.zeros(len(rows), np.bool_)
            is_held_out[own] = chosen
            held_out = is_held_out[roots] & kept
            if held_out.sum() > 1:
                return HeldOut(unit, roots, held_out)
    return None


def roots_of(roots: NDArray[np.uint32], some: Mask) -> Mask:
    """The roots of the groups that some rows are of."""
    found = np.zeros(len(roots), np.bool_)
    found[roots[some]] = True
    return found


def units(params: MergeParams) -> Iterator[Unit]:
    """The unit that the parameters name, and after it smaller ones, down to blocks of one row."""
    yield asked(params)
    size = params.block_rows
    size = {"source": size, "block": size // 2, "verse_line": 1, "row": 0}[params.group_by]
    while size:
        yield Unit("block", size)
        size //= 2


def asked(params: MergeParams) -> Unit:
    """The unit that the parameters name."""
    return Unit(params.group_by, params.block_rows)


def lowest(
    draws: NDArray[np.float64], sizes: NDArray[np.intp], unit: Unit, params: MergeParams
) -> Mask | None:
    """Which of the groups are held out by their draws; None if smaller ones are needed.

    `sizes` are their rows. The blocks at the ends of books are shorter than others.
    """
    count, share = len(draws), params.eval_fraction
    if count < 2:
        return None
    is_smallest = unit.group_by in ("verse_line", "row") or unit == Unit("block", 1)
    if unit == asked(params):
        chosen = draws < share
        if not is_smallest and (count * share <= TOO_FEW or chosen.all() or not chosen.any()):
            return None
    elif count * share < 1 and not is_smallest:
        return None
    else:
        order = np.argsort(draws)
        held_out = np.cumsum(sizes[order])
        nearest = np.argmin(np.abs(held_out[:-1] - share * held_out[-1]))
        chosen = draws <= draws[order[nearest]]
    # A single row shows nothing, and the smallest groups may have no more.
    fewest = 2 if is_smallest else 1
    if chosen.sum() < fewest:
        chosen[np.argsort(draws)[:fewest]] = True
    chosen[np.argmax(draws)] = False
    return chosen


def draw(seed: int, key: str) -> float:
    """A number from 0 to 1 that depends on seed and key alone."""
    return hash64(f"{seed}/{key}") / 2**64
