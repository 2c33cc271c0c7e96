"""Near-duplicates: MinHash proposes pairs of texts, and their shared 5-grams decide.

Broder 1997, https://doi.org/10.1109/SEQUEN.1997.666900. Two texts are a pair to compare if a band
of their sketches is equal (Leskovec, Rajaraman and Ullman 2020, section 3.4,
http://infolab.stanford.edu/~ullman/mmds/ch3n.pdf).
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rensa import RMinHash

from wenmo.core.row_files import Rows
from wenmo.text.characters import ngrams, without_space
from wenmo.text.shared_keys import SharedKeys, mixed

NGRAM = 5
PERMUTATIONS = 128
SEED = 1
AT_ONCE = 256
"""Texts that are sketched together, which is faster."""
MISSED = 0.001
"""Greatest share of the pairs exactly at the bound that may be missed."""


class Sketches(SharedKeys):
    """The bands of the texts' sketches, each with the number of its text."""

    def __init__(self, jaccard: float, folder: Path) -> None:
        super().__init__(folder)
        bands = number_of_bands(jaccard)
        draw = np.random.default_rng(SEED)
        # Odd factors, different for each band, so that equal numbers of different bands differ.
        odd = draw.integers(2**63, size=(bands, PERMUTATIONS // bands), dtype=np.uint64) * 2 + 1
        self._factors: NDArray[np.uint64] = odd.astype(np.uint64)
        self._texts = 0

    def add_sketches(self, sketches: NDArray[np.uint64]) -> None:
        """Add the sketches of the next texts, a line each."""
        in_bands = sketches.reshape(-1, *self._factors.shape)
        numbers = range(self._texts, self._texts + len(sketches))
        self.add_all([*numbers], mixed((in_bands * self._factors).sum(axis=2)))
        self._texts += len(sketches)


def sketched(texts: Sequence[str]) -> NDArray[np.uint64]:
    """The sketches of texts, PERMUTATIONS numbers each."""
    minhashes = [RMinHash(PERMUTATIONS, SEED) for _ in texts]
    for minhash, text in zip(minhashes, texts, strict=True):
        minhash.update(list(shingles(text)))
    return np.array([minhash.digest() for minhash in minhashes], np.uint64)


def in_batches(texts: Iterator[str]) -> Iterator[list[str]]:
    """The texts, AT_ONCE at a time."""
    while batch := list(islice(texts, AT_ONCE)):
        yield batch


def pairs(
    rows: Rows,
    sketches: Sketches,
    kept: NDArray[np.bool_],
    jaccard: float,
    is_settled: Callable[[int, int], bool] = lambda earlier, later: False,
) -> Iterator[tuple[int, int]]:
    """Pairs (earlier, later) of kept rows whose sets of 5-grams overlap by at least `jaccard`.

    A pair may come several times. Pairs that are settled when their turn comes are left out.
    """
    for group in sketches.groups(kept):
        for earlier, later in combinations(group.tolist(), 2):
            if not is_settled(earlier, later) and _are_similar(rows, earlier, later, jaccard):
                yield earlier, later


def repeated(
    rows: Rows, sketches: Sketches, kept: NDArray[np.bool_], jaccard: float
) -> NDArray[np.bool_]:
    """Which of the kept rows are near-duplicates of an earlier one."""
    found = np.zeros(len(rows), np.bool_)
    for group in sketches.groups(kept):
        numbers = group.tolist()
        for at, later in enumerate(numbers):
            # A text that repeats a hundred others is compared with one.
            found[later] = found[later] or any(
                _are_similar(rows, earlier, later, jaccard) for earlier in islice(numbers, at)
            )
    return found


def number_of_bands(jaccard: float) -> int:
    """The number of bands of a sketch; a pair is proposed if its sketches share a band.

    Fewer bands propose fewer pairs. This is the fewest with which at most MISSED of the pairs of
    this similarity share no band.
    """
    sizes = (size for size in (16, 8, 4, 2) if _missed(jaccard, size) <= MISSED)
    return PERMUTATIONS // next(sizes, 1)


def similarity(one: str, other: str) -> float:
    """Jaccard similarity of two texts' sets of 5-grams."""
    first, second = shingles(one), shingles(other)
    return len(first & second) / len(first | second)


def shingles(text: str) -> set[str]:
    """The 5-grams of a text, or the text itself if it is shorter."""
    return set(ngrams(text, NGRAM)) or {without_space(text)}


def _are_similar(rows: Rows, earlier: int, later: int, jaccard: float) -> bool:
    return similarity(rows[earlier].output, rows[later].output) >= jaccard


def _missed(jaccard: float, size: int) -> float:
    """The share of pairs of this similarity that share no band of `size` numbers."""
    return (1 - jaccard**size) ** (PERMUTATIONS // size)
