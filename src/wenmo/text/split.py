"""The split into training rows and held-out rows. Memory holds numbers of rows, not their texts."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
from tqdm import tqdm

from wenmo.config.merge import MergeParams
from wenmo.config.overrides import command
from wenmo.core.errors import UserError
from wenmo.core.ordered_map import ordered_map
from wenmo.core.row_files import Rows
from wenmo.text.groups import Unit, hash64, numbers
from wenmo.text.held_out_groups import Mask, draw, hold_out, roots_of
from wenmo.text.near_duplicates import Sketches, in_batches, repeated, sketched
from wenmo.text.shared_keys import SharedKeys

AT_ONCE = 2**16
"""Rows whose draws are compared at a time."""


@dataclass(frozen=True)
class Part:
    """Rows that share a fate, and the number of groups that they come from."""

    rows: int
    groups: int


@dataclass(frozen=True)
class Split:
    """The training rows and the held-out rows, and what became of all others.

    `unit` was held out, which may be smaller than what the parameters name. `parts` are the rows of
    all groups by what became of them; `repetitions` had been left out before, by reason.
    """

    train: Mask
    eval: Mask
    sources: dict[str, tuple[int, int]]
    unit: Unit
    groups: int
    parts: dict[str, Part]
    repetitions: dict[str, int]

    def in_order(self, part: Mask) -> Iterator[int]:
        """The numbers of a part's rows, in order of source and position."""
        for _, (start, end) in sorted(self.sources.items()):
            yield from map(int, np.flatnonzero(part[start:end]) + start)


def split(rows: Rows, params: MergeParams, seed: int, task: str, folder: Path) -> Split:
    """Split the rows. `folder` is where temporary files without a name are.

    Raises UserError if either part would be empty, with the way out.
    """
    jaccard, starts = params.near_duplicate_jaccard, dict[str, int]()
    with SharedKeys(folder) as texts, Sketches(jaccard, folder) as sketches:

        def outputs() -> Iterator[str]:
            for number, row in enumerate(tqdm(rows, "reading rows", len(rows), unit="row")):
                starts.setdefault(row.source, number)
                texts.add(number, [hash64(row.output)])
                yield row.output

        for of_some in ordered_map(sketched, in_batches(outputs())):
            sketches.add_sketches(of_some)
        kept = ~_duplicates(rows, texts)
        repetitions = {"duplicate": len(rows) - int(kept.sum()), "near_duplicate": 0}
        if params.drop_near_duplicates:
            near = repeated(rows, sketches, kept, jaccard)
            repetitions["near_duplicate"] = int(near.sum())
            kept &= ~near
        held_out = hold_out(rows, kept, params, seed, sketches, folder)
    if held_out is None:
        raise UserError(
            "{task}: of {count} rows, those that differ are too few to hold two of them out and"
            " learn from another; add texts and run `dvc repro merge@{task}`",
            task=task,
            count=len(rows),
        )
    learnt = kept & ~held_out.rows
    gap = learnt & _neighbours(rows, starts, held_out.rows, params.gap_rows)
    train = first_drawn(rows, learnt & ~gap, params.max_train_rows, seed)
    evaluated = first_drawn(rows, held_out.rows, params.max_eval_rows, seed)
    if not train.any():
        raise UserError(
            "{task}: merge.gap_rows ({gap_rows}) leaves no row to learn from beside the held-out"
            " ones; run `{command}`",
            task=task,
            gap_rows=params.gap_rows,
            command=command(task, "merge.gap_rows", 0),
        )
    fates = {
        "train": train,
        "eval": evaluated,
        "gap": gap,
        "over_max_train_rows": learnt & ~gap & ~train,
        "over_max_eval_rows": held_out.rows & ~evaluated,
    }

    def part(fate: Mask) -> Part:
        return Part(int(fate.sum()), int(roots_of(held_out.roots, fate).sum()))

    return Split(
        train,
        evaluated,
        dict(zip(starts, _spans(starts, len(rows)), strict=True)),
        held_out.unit,
        part(kept).groups,
        {name: part(fate) for name, fate in fates.items()},
        repetitions,
    )


def first_drawn(rows: Rows, among: Mask, count: int, seed: int) -> Mask:
    """At most `count` of the rows, drawn by seed and id."""
    if among.sum() <= count:
        return among
    chosen, lowest, waiting = np.empty(0, np.int64), np.empty(0), numbers(among)
    while some := list(islice(waiting, AT_ONCE)):
        draws = np.append(lowest, [draw(seed, rows[number].id) for number in some])
        first = np.argsort(draws, kind="stable")[:count]
        chosen, lowest = np.append(chosen, some)[first], draws[first]
    mask = np.zeros(len(rows), np.bool_)
    mask[chosen] = True
    return mask


def _duplicates(rows: Rows, texts: SharedKeys) -> Mask:
    """Which rows have the text of an earlier row."""
    found = np.zeros(len(rows), np.bool_)
    for group in texts.groups(~found):
        first, *others = group.tolist()
        text = rows[first].output
        found[[other for other in others if rows[other].output == text]] = True
    return found


def _neighbours(rows: Rows, starts: dict[str, int], held_out: Mask, gap: int) -> Mask:
    """The rows that are at most `gap` positions from a held-out row of their source."""
    near = held_out.copy()
    if not gap:
        return near
    for start, end in _spans(starts, len(rows)):
        positions = np.array([rows[number].position for number in range(start, end)])
        of_held_out = positions[held_out[start:end]]
        next_one = np.searchsorted(of_held_out, positions - gap)
        near[start:end] = next_one < np.searchsorted(of_held_out, positions + gap, side="right")
    return near


def _spans(starts: dict[str, int], end: int) -> list[tuple[int, int]]:
    """The number of each source's first row and the one after its last."""
    return list(pairwise([*starts.values(), end]))
