"""Overlap of a text with its reference, by ROUGE, BLEU and chrF. Higher is closer.

Every score is from 0 to 1, and 0 for an empty text. The units are characters, since Chinese has no
spaces; white space does not count.
"""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from statistics import fmean

from rapidfuzz.distance import LCSseq
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from wenmo.text.characters import ngrams, without_space

RowScore = Callable[[str, str], float]
CorpusScore = Callable[[Sequence[str], Sequence[str]], float]


def rouge_n(text: str, reference: str, n: int) -> float:
    """ROUGE-n F1 by character: 2·overlap / (n-grams of text + n-grams of reference).

    Lin 2004, https://aclanthology.org/W04-1013.
    """
    ours, theirs = Counter(ngrams(text, n)), Counter(ngrams(reference, n))
    total = ours.total() + theirs.total()
    return 2 * (ours & theirs).total() / total if total else 0.0


def rouge_l(text: str, reference: str) -> float:
    """ROUGE-L F1 by character: 2·LCS / (characters of text + characters of reference).

    The longest common subsequence (LCS) is rapidfuzz's, a thousand times faster than rouge-score's.
    """
    ours, theirs = without_space(text), without_space(reference)
    total = len(ours) + len(theirs)
    return 2 * LCSseq.similarity(ours, theirs) / total if total else 0.0


def bleu(texts: Sequence[str], references: Sequence[str]) -> float:
    """Corpus BLEU with sacrebleu's zh tokenizer, over 100 (Papineni et al. 2002)."""
    return float(_bleu().corpus_score(list(texts), [list(references)]).score) / 100


def chrf(texts: Sequence[str], references: Sequence[str]) -> float:
    """Corpus chrF2 by sacrebleu, over 100 (Popović 2015, https://aclanthology.org/W15-3049)."""
    return float(_chrf2().corpus_score(list(texts), [list(references)]).score) / 100


def signatures() -> dict[str, str]:
    """The signatures of BLEU and chrF by sacrebleu, which make the scores comparable.

    Post 2018, https://aclanthology.org/W18-6319.
    """
    metrics = {"bleu": _bleu(), "chrf2": _chrf2()}
    for metric in metrics.values():
        # A metric knows its number of references, which is in the signature, after it was used.
        metric.corpus_score(["雪"], [["雪"]])
    return {name: str(metric.get_signature()) for name, metric in metrics.items()}


def shuffled_floor(
    score: CorpusScore, texts: Sequence[str], references: Sequence[str], seed: int
) -> float:
    """The score of the texts against other rows' references, which is the score of chance.

    Each reference is exchanged for a different one, drawn by seed. Texts with equal references,
    such as several answers to a prompt, get the same one. With a single reference the floor is 0.
    """
    distinct = list(dict.fromkeys(references))
    if len(distinct) < 2:
        return 0.0
    exchanged = {distinct[at]: distinct[to] for at, to in enumerate(_cycle(len(distinct), seed))}
    return score(texts, [exchanged[reference] for reference in references])


def row_mean(score: RowScore) -> CorpusScore:
    """The mean over the rows of a score of one text and its reference."""

    def mean(texts: Sequence[str], references: Sequence[str]) -> float:
        return fmean(map(score, texts, references))

    return mean


@cache
def _bleu() -> BLEU:
    # The metric object is kept, since it caches tokenised texts, which the floor needs again.
    return BLEU(tokenize="zh")


@cache
def _chrf2() -> CHRF:
    return CHRF()


def _cycle(count: int, seed: int) -> list[int]:
    """A random permutation that moves every element (Sattolo 1986).

    https://doi.org/10.1016/0020-0190(86)90073-6
    """
    draw = random.Random(seed)
    order = list(range(count))
    for last in range(count - 1, 0, -1):
        other = draw.randrange(last)
        order[last], order[other] = order[other], order[last]
    return order
