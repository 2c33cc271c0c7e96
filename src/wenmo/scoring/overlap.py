"""How much of the reference's wording a text has. Higher is closer; every score is from 0 to 1.

Characters are the units, since Chinese has no spaces; white space does not count. An empty text
scores 0.
"""

from collections import Counter
from collections.abc import Sequence

from rapidfuzz.distance import LCSseq
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF


def rouge_n(text: str, reference: str, n: int) -> float:
    """ROUGE-n F1 by character: 2·overlap / (n-grams of text + n-grams of reference).

    Lin 2004, https://aclanthology.org/W04-1013.
    """
    ours, theirs = character_ngrams(text, n), character_ngrams(reference, n)
    total = ours.total() + theirs.total()
    return 2 * (ours & theirs).total() / total if total else 0.0


def rouge_l(text: str, reference: str) -> float:
    """ROUGE-L F1 by character: 2·LCS / (characters of text + characters of reference).

    The longest common subsequence is rapidfuzz's, some thousand times faster than rouge-score's.
    """
    ours, theirs = without_space(text), without_space(reference)
    total = len(ours) + len(theirs)
    return 2 * LCSseq.similarity(ours, theirs) / total if total else 0.0


def bleu(texts: Sequence[str], references: Sequence[str]) -> float:
    """Corpus BLEU with sacrebleu's zh tokenizer, over 100 (Papineni et al. 2002)."""
    return float(BLEU(tokenize="zh").corpus_score(list(texts), [list(references)]).score) / 100


def chrf(texts: Sequence[str], references: Sequence[str]) -> float:
    """Corpus chrF2 by sacrebleu, over 100 (Popović 2015, https://aclanthology.org/W15-3049)."""
    return float(CHRF().corpus_score(list(texts), [list(references)]).score) / 100


def character_ngrams(text: str, n: int) -> Counter[str]:
    """The n-grams of a text's characters, white space left out."""
    characters = without_space(text)
    return Counter(characters[at : at + n] for at in range(len(characters) - n + 1))


def without_space(text: str) -> str:
    """The text's characters alone."""
    return "".join(text.split())
