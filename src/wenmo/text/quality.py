"""Quality of a text: faults for which a text is left out."""

import re
from collections import Counter

from wenmo.config.prepare import QualityParams
from wenmo.text.characters import without_space

_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff〇]")
# Placeholders of characters that could not be read or shown.
_GAP = re.compile(r"[□■〓\ufffd\ue000-\uf8ff]")
# Function characters, without which vernacular and classical prose hardly do.
_VERNACULAR, _CLASSICAL = "的了着", "之乎者也"
REPEATED_NGRAM = 4


def fault(text: str, params: QualityParams) -> str | None:
    """The first reason to leave a text out, or None if it has no fault."""
    if han_share(text) < params.min_han_share:
        return "little Han"
    if len(_GAP.findall(text)) > params.max_gap_share * len(text):
        return "gaps"
    if repetition(text) > params.max_repetition:
        return "repetition"
    if vernacular_share(text) < params.min_vernacular_share:
        return "classical"
    return None


def han_share(text: str) -> float:
    """Share of Han characters, 0 to 1; white space does not count."""
    visible = without_space(text)
    return len(_HAN.findall(visible)) / len(visible) if visible else 0.0


def repetition(text: str) -> float:
    """Share of 4-grams that occur earlier in the text, 0 to 1."""
    ngrams = Counter(text[at : at + REPEATED_NGRAM] for at in range(len(text) - REPEATED_NGRAM + 1))
    return 1 - len(ngrams) / ngrams.total() if ngrams else 0.0


def vernacular_share(text: str) -> float:
    """Share of 的了着 among these and 之乎者也, 0 to 1; 1 for a text that has none of them."""
    vernacular = sum(map(text.count, _VERNACULAR))
    classical = sum(map(text.count, _CLASSICAL))
    return vernacular / (vernacular + classical) if vernacular + classical else 1.0
