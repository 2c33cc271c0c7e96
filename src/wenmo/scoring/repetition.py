"""Whether a text goes round in circles, and whether texts repeat each other."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence

from sacrebleu.metrics.bleu import BLEU, MAX_NGRAM_ORDER

from wenmo.text.characters import ngrams, without_space


def distinct_at_equal_length(text: str, n: int, window: int) -> float:
    """Share of different n-grams within `window` characters, averaged over the window's places.

    From 0 to 1, higher is more varied (distinct-n, Li et al. 2016,
    https://arxiv.org/abs/1510.03055). A longer text repeats itself more without being worse, so
    that plain distinct-n can only compare texts of one length (Liu et al. 2022,
    https://aclanthology.org/2022.acl-short.86). Their correction needs the number of n-grams that
    a language has; a moving window (Covington and McFall 2010,
    https://doi.org/10.1080/09296171003643098) needs nothing and leaves out no part of a text. What
    a text lacks to fill the window once counts as repeated: silence is not variety.
    """
    characters = without_space(text)
    count = len(characters) - n + 1
    size = window - n + 1
    last_start = max(0, count - size)
    seen: dict[str, int] = {}
    found = 0
    for at in range(count):
        ngram = characters[at : at + n]
        # The windows in which this is the n-gram's first place start behind its place before.
        found += max(0, min(at, last_start) - max(seen.get(ngram, -1), at - size))
        seen[ngram] = at
    return found / (size * (last_start + 1))


def sequence_repetition(text: str, n: int) -> float:
    """Share of n-grams that stood in the text before; lower is better.

    seq-rep-n of Welleck et al. 2020, https://arxiv.org/abs/1908.04319. Human prose has 0.015 for
    n = 4, by character. A text too short for one n-gram counts as wholly repeated.
    """
    found = ngrams(text, n)
    return 1 - len(set(found)) / len(found) if found else 1.0


def self_bleu(texts: Sequence[str]) -> list[float]:
    """For each text its BLEU-4 by character with all others as references; lower is more varied.

    From 0 to 1, averaged over the texts: self-BLEU of Zhu et al. 2018 (Texygen,
    https://arxiv.org/abs/1802.01886), here exactly sacrebleu's sentence BLEU (eff:yes, tok:char).
    It rises with the number of texts, so only sets of one size compare. An empty text says the
    same as any other empty one: 1. A text alone has 0.

    Only the largest count of an n-gram in any other text matters, so the two largest counts of
    each n-gram stand for all pairs of texts: the time is that of reading the texts, for any
    number of them.
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
    """The length next to this one among sorted ones, itself once left out; the shorter of two."""
    at = bisect_left(lengths, length)
    others = lengths[max(0, at - 1) : at] + lengths[at + 1 : at + 2]
    return min(others, key=lambda other: (abs(other - length), other), default=length)
