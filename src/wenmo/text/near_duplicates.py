"""Texts that are nearly the same: MinHash proposes pairs, their shared 5-grams decide.

Broder 1997, https://doi.org/10.1109/SEQUEN.1997.666900.
"""

from collections.abc import Iterator, Sequence

import xxhash
from datasketch import MinHash, MinHashLSH
from tqdm import tqdm

NGRAM = 5
PERMUTATIONS = 128
SEED = 1


def near_duplicates(texts: Sequence[str], jaccard: float) -> Iterator[tuple[int, int]]:
    """Pairs (earlier, later) of positions whose sets of 5-grams overlap by at least `jaccard`."""
    # Asking for a little less finds the pairs whose estimate falls short by chance.
    index = MinHashLSH(threshold=max(0.1, jaccard - 0.1), num_perm=PERMUTATIONS)
    for later, text in enumerate(tqdm(texts, desc="looking for near-duplicates", unit="row")):
        sketch = MinHash(num_perm=PERMUTATIONS, seed=SEED, hashfunc=xxhash.xxh32_intdigest)
        sketch.update_batch([ngram.encode() for ngram in ngrams(text)])
        for earlier in sorted(index.query(sketch)):
            if similarity(texts[earlier], text) >= jaccard:
                yield earlier, later
        index.insert(later, sketch)


def similarity(one: str, other: str) -> float:
    """Jaccard similarity of two texts' sets of 5-grams."""
    first, second = ngrams(one), ngrams(other)
    return len(first & second) / len(first | second)


def ngrams(text: str) -> set[str]:
    """The 5-grams of a text, white space aside; the text itself where it is shorter."""
    visible = "".join(text.split())
    return {visible[at : at + NGRAM] for at in range(max(1, len(visible) - NGRAM + 1))}
