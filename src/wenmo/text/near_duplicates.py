"""Near-duplicates: MinHash proposes pairs of texts, and their shared 5-grams decide.

Broder 1997, https://doi.org/10.1109/SEQUEN.1997.666900.
"""

from collections.abc import Iterator, Sequence

from rensa import RMinHash, RMinHashLSH
from tqdm import tqdm

from wenmo.text.characters import ngrams, without_space

NGRAM = 5
PERMUTATIONS = 128
SEED = 1
MISSED = 0.001
"""Greatest share of the pairs exactly at the bound that may be missed."""


def near_duplicates(texts: Sequence[str], jaccard: float) -> Iterator[tuple[int, int]]:
    """Pairs (earlier, later) of positions whose sets of 5-grams overlap by at least `jaccard`."""
    index = RMinHashLSH(jaccard, PERMUTATIONS, number_of_bands(jaccard))
    for later, text in enumerate(tqdm(texts, desc="looking for near-duplicates", unit="row")):
        sketch = RMinHash(PERMUTATIONS, SEED)
        sketch.update(list(_shingles(text)))
        for earlier in sorted(index.query(sketch)):
            if similarity(texts[earlier], text) >= jaccard:
                yield earlier, later
        index.insert(later, sketch)


def number_of_bands(jaccard: float) -> int:
    """The number of bands of a sketch; a pair is proposed if its sketches share a band.

    Fewer bands propose fewer pairs. This is the fewest with which at most MISSED of the pairs of
    this similarity share no band.
    """
    sizes = (size for size in (16, 8, 4, 2) if _missed(jaccard, size) <= MISSED)
    return PERMUTATIONS // next(sizes, 1)


def similarity(one: str, other: str) -> float:
    """Jaccard similarity of two texts' sets of 5-grams."""
    first, second = _shingles(one), _shingles(other)
    return len(first & second) / len(first | second)


def _shingles(text: str) -> set[str]:
    """The 5-grams of a text, or the text itself if it is shorter."""
    return set(ngrams(text, NGRAM)) or {without_space(text)}


def _missed(jaccard: float, size: int) -> float:
    """The share of pairs of this similarity that share no band of `size` numbers."""
    return (1 - jaccard**size) ** (PERMUTATIONS // size)
