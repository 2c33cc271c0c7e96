"""Sentences of Chinese prose, and the quotes that open and close in them."""

import re

QUOTES = {"“": "”", "‘": "’", "「": "」", "『": "』"}
"""Each opening quote with the one that closes it."""

CLOSING_QUOTES = "".join(QUOTES.values())

_SENTENCE = re.compile(r"[^…。！？!?\n]*(?:[…。！？!?]+[”’」』）]*\n?|\n|$)")
# Three points and more are an ellipsis.
_SENTENCE_WITH_DOTS = re.compile(
    r"(?:[^…。！？!?.．\n]|[.．](?![.．]{2}))*"
    r"(?:(?:[…。！？!?]|[.．]{3,})+[”’」』）]*\n?|\n|$)"
)


def sentences(text: str) -> list[str]:
    """The sentences of a text with their end marks, closing quotes and line breaks.

    Joined, they are the text.
    """
    pattern = _SENTENCE_WITH_DOTS if ".." in text or "．．" in text else _SENTENCE
    return [sentence for sentence in pattern.findall(text) if sentence]


def quotes_balance(text: str) -> bool:
    """Whether the text closes as many quotes of each kind as it opens."""
    return all(text.count(opening) == text.count(close) for opening, close in QUOTES.items())
