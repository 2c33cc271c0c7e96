"""Repetition within a text and among texts."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence

from sacrebleu.metrics.bleu import BLEU, MAX_NGRAM_ORDER

from wenmo.text.characters import ngrams, without_space


def distinct_at_equal_length(text: str, n: int, window: int) -> float:
    """Share of different n-grams in a window of `window` characters, averaged over all windows.

    From 0 to 1; higher is more varied (distinct-n, Li et al. 2016,
    https://arxiv.org/abs/1510.03055). A longer text repeats more n-grams without being worse, so
    that plain distinct-n compares only texts of equal length (Liu et al. 2022,
    https://aclanthology.org/2022.acl-short.86). Their correction needs the number of n-grams of the
    language. A moving window (Covington and McFall 2010, https://doi.org/10.1080/09296171003643098)
    needs no such number and covers the whole text. In a text shorter than the window, the missing
    n-grams count as repeated: silence is not variety.
    """
    characters = without_space(text)
    count = len(characters) - n + 1
    size = window - n + 1
    last_start = max(0, count - size)
    seen: dict[str, int] = {}
    found = 0
    for at in range(count):
        ngram = characters[at : at + n]
        # This place is the n-gram's first in the windows that start after its previous place.
        found += max(0, min(at, last_start) - max(seen.get(ngram, -1), at - size))
        seen[ngram] = at
    return found / (size * (last_start + 1))


def sequence_repetition(text: str, n: int) -> float:
    """Share of n-grams that occur earlier in the text, 0 to 1; lower is better.

    This is seq-rep-n of Welleck et al. 2020, https://arxiv.org/abs/1908.04319. Human prose has
    0.015 for n = 4, by character. A text without an n-gram has 1.
    """
    found = ngrams(text, n)
    return 1 - len(set(found)) / len(found) if found else 1.0


def self_bleu(texts: Sequence[str]) -> list[float]:
    """The BLEU-4 by character of each text, with all other texts as references; 0 to 1.

    The mean is self-BLEU (Texygen, Zhu et al. 2018, https://arxiv.org/abs/1802.01886); lower is
    more varied. Each value equals sacrebleu's sentence BLEU (eff:yes, tok:char). Self-BLEU rises
    with the number of texts, so that only sets of equal size compare. An empty text has 1, and a
    text alone has 0.

    BLEU needs only the largest count of an n-gram in any other text. Keeping the two largest counts
    of each n-gram avoids comparing all pairs, so that the time is linear in the texts.
    """
    contents = [without_space(text) for text in texts]
    correct = [[0] * MAX_NGRAM_ORDER for _ in texts]
    for order in range(MAX_NGRAM_ORDER):
        of_texts = [Counter(ngrams(text, order + 1)) for text in contents]
        largest: Counter[str] = Counter()
        second: Counter[str] = Counter()
        for counts in of_texts:
            for ngram, count in counts.items():
                if count > (most := largest[ngram]):
                    largest[ngram], second[ngram] = count, most
                elif count > second[ngram]:
                    second[ngram] = count
        for at, counts in enumerate(of_texts):
            correct[at][order] = sum(
                min(count, second[ngram] if count == largest[ngram] else largest[ngram])
                for ngram, count in counts.items()
            )
    lengths = sorted(map(len, contents))
    return [
        _sentence_bleu(matches, len(text), _closest_other(len(text), lengths)) if text else 1.0
        for matches, text in zip(correct, contents, strict=True)
    ]


def _sentence_bleu(correct: list[int], length: int, reference_length: int) -> float:
    totals = [max(0, length - order) for order in range(MAX_NGRAM_ORDER)]
    bleu = BLEU.compute_bleu(
        correct, totals, length, reference_length, smooth_method="exp", effective_order=True
    )
    return float(bleu.score) / 100


def _closest_other(length: int, lengths: list[int]) -> int:
    """The length of the other text that is closest to `length`; the shorter one of two."""
    at = bisect_left(lengths, length)
    others = lengths[max(0, at - 1) : at] + lengths[at + 1 : at + 2]
    return min(others, key=lambda other: (abs(other - length), other), default=length)
