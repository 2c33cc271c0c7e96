"""Whether a text goes round in circles."""

from collections.abc import Sequence
from statistics import fmean

from wenmo.scoring.overlap import character_ngrams


def distinct(texts: Sequence[str], n: int) -> float:
    """Share of different n-grams among each text's n-grams, averaged; higher is more varied.

    Li et al. 2016, https://arxiv.org/abs/1510.03055. Human prose has 0.88 for n = 2, by character.
    """
    return fmean(_distinct(text, n) for text in texts)


def sequence_repetition(texts: Sequence[str], n: int) -> float:
    """Share of n-grams that stood in the same text before, averaged; lower is better.

    seq-rep-n of Welleck et al. 2020, https://arxiv.org/abs/1908.04319. Human prose has 0.015 for
    n = 4, by character. A text too short for one n-gram counts as wholly repeated.
    """
    return fmean(1 - _distinct(text, n) for text in texts)


def _distinct(text: str, n: int) -> float:
    ngrams = character_ngrams(text, n)
    return len(ngrams) / ngrams.total() if ngrams else 0.0
