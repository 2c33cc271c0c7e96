"""Near-duplicates by datasketch, as its documentation shows; pairs are not compared any further.

https://ekzhu.com/datasketch/lsh.html
"""

from collections.abc import Sequence

from datasketch import MinHash, MinHashLSH

NGRAM = 5


def near_duplicates(texts: Sequence[str], jaccard: float) -> list[tuple[int, int]]:
    """Pairs (earlier, later) of positions that the index of MinHashes returns."""
    index, pairs = MinHashLSH(threshold=jaccard, num_perm=128), []
    for later, text in enumerate(texts):
        sketch = MinHash(num_perm=128)
        for at in range(len(text) - NGRAM + 1):
            sketch.update(text[at : at + NGRAM].encode("utf-8"))
        pairs += [(earlier, later) for earlier in sorted(index.query(sketch))]
        index.insert(later, sketch)
    return pairs
