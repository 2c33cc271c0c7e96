"""The training rows nearest to a text."""

import heapq
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum, log

from tqdm import tqdm

from wenmo.core.records import Row
from wenmo.scoring.copying import match_lengths
from wenmo.text.characters import ngrams, without_space

# Longer n-grams find nothing but copies: no 4-gram of the tiny model's 38 held-out poems stands in
# a training poem, and only one 3-gram does.
NGRAM = 2


@dataclass(frozen=True)
class Neighbour:
    """A training row by its index, its similarity to the text, and their longest common run.

    `similarity` is the share of the text's character pairs that stand in the row, 0 to 1; a pair
    weighs more if fewer training rows have it. White space does not count.
    """

    index: int
    similarity: float
    run: str


def nearest(text: str, rows: Sequence[Row], count: int) -> list[Neighbour]:
    """The `count` most similar rows, the nearest first; those that share no pair are left out.

    A pair that `df` of `n` rows have weighs 1 + ln((n + 1) / (df + 1)), the smoothed inverse
    document frequency of scikit-learn's TfidfTransformer.
    https://scikit-learn.org/stable/modules/feature_extraction.html#tfidf-term-weighting
    """
    wanted = set(ngrams(text, NGRAM))
    shared = [
        wanted.intersection(ngrams(row.output, NGRAM))
        for row in tqdm(rows, "comparing with training rows", leave=False, delay=2)
    ]
    frequency = Counter(pair for pairs in shared for pair in pairs)
    weight = {pair: 1 + log((len(rows) + 1) / (frequency[pair] + 1)) for pair in wanted}
    total = fsum(weight.values())
    similarity = [fsum(weight[pair] for pair in pairs) for pairs in shared]
    best = heapq.nsmallest(count, range(len(rows)), key=lambda at: (-similarity[at], at))
    return [
        Neighbour(at, similarity[at] / total, longest_run(text, rows[at].output))
        for at in best
        if shared[at]
    ]


def longest_run(text: str, other: str) -> str:
    """The first of the longest runs of characters that both texts have, without white space."""
    lengths = match_lengths([text], [other])[0]
    if not len(lengths):
        return ""
    at = int(lengths.argmax())
    return without_space(text)[at : at + int(lengths[at])]
