"""Leakage: how much of the held-out texts occurs in the training texts.

The n-grams are compared by 64-bit hashes. Memory grows with the held-out texts alone.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from wenmo.config.overrides import command
from wenmo.core.errors import UserError
from wenmo.core.language import gettext
from wenmo.core.records import Row
from wenmo.text.characters import COPY_NGRAM, without_space
from wenmo.text.shared_keys import mixed

Hashes = NDArray[np.uint64]

FACTORS = np.random.default_rng(0).integers(2**63, size=COPY_NGRAM, dtype=np.uint64) * 2 + 1
AT_ONCE = 2**14
"""Characters of training texts that are hashed together."""

FILTER_BITS = 22
"""The bits of a hash that tell in one look-up that most n-grams are in no held-out text."""


@dataclass(frozen=True)
class Leakage:
    """The share of held-out 13-grams that occur in a training row, over all rows and by row."""

    share: float
    by_row: list[tuple[float, Row]]


def measure(train: Iterable[Row], held_out: Iterable[Row]) -> Leakage:
    """How much of the held-out outputs occurs in the training outputs, in n-grams of COPY_NGRAM."""
    evaluated = list(held_out)
    of_rows = [hashes(row.output) for row in evaluated]
    wanted = np.unique(np.concatenate(of_rows)) if of_rows else np.empty(0, np.uint64)
    may_be_wanted = np.zeros(2**FILTER_BITS, np.bool_)
    may_be_wanted[_highest_bits(wanted)] = True
    seen = np.zeros(len(wanted), np.bool_)
    for text in joined(row.output for row in train):
        found = hashes(text)
        found = found[may_be_wanted[_highest_bits(found)]]
        seen[_places(found, wanted)] = True
    leaked = [seen[_places(of_row, wanted)] for of_row in of_rows]
    total = sum(map(len, leaked))
    return Leakage(
        share=sum(int(of_row.sum()) for of_row in leaked) / total if total else 0.0,
        by_row=[
            (float(of_row.mean()) if len(of_row) else 0.0, row)
            for of_row, row in zip(leaked, evaluated, strict=True)
        ],
    )


def refuse_leakage(leakage: Leakage, bound: float, task: str) -> None:
    """Raise UserError naming the worst rows if more than `bound` of the 13-grams leak."""
    if leakage.share <= bound:
        return
    worst = sorted(leakage.by_row, key=lambda pair: -pair[0])[:5]
    rows = gettext(", ").join(
        gettext(
            "{source} row {position} ({share:.0%})",
            source=row.source,
            position=row.position,
            share=share,
        )
        for share, row in worst
    )
    accepted = ceil(leakage.share * 100) / 100
    raise UserError(
        "{task}: {share:.1%} of the held-out 13-grams stand in the training rows"
        " (merge.max_leakage is {bound:.1%}), most in {rows}; mend these texts, or accept it:"
        " `{command}`",
        task=task,
        share=leakage.share,
        bound=bound,
        rows=rows,
        command=command(task, "merge.max_leakage", accepted),
    )


def joined(texts: Iterable[str]) -> Iterator[str]:
    """Several texts at a time, which is faster, with a NUL between them, which no text holds."""
    waiting, characters = list[str](), 0
    for text in texts:
        waiting.append(text)
        characters += len(text)
        if characters >= AT_ONCE:
            yield "\0".join(waiting)
            waiting, characters = [], 0
    yield "\0".join(waiting)


def hashes(text: str) -> Hashes:
    """The hashes of a text's n-grams of COPY_NGRAM characters, in order."""
    codes = np.frombuffer(without_space(text).encode("utf-32-le"), np.uint32).astype(np.uint64)
    count = len(codes) - COPY_NGRAM + 1
    if count <= 0:
        return np.empty(0, np.uint64)
    sums = np.zeros(count, np.uint64)
    for at, factor in enumerate(FACTORS):
        sums += codes[at : at + count] * factor
    return mixed(sums)


def _highest_bits(keys: Hashes) -> Hashes:
    return keys >> np.uint64(64 - FILTER_BITS)


def _places(keys: Hashes, wanted: Hashes) -> NDArray[np.int64]:
    """The places in `wanted` of those keys that are there."""
    places = np.minimum(np.searchsorted(wanted, keys), max(len(wanted) - 1, 0))
    return places[wanted[places] == keys] if len(wanted) else places[:0]
