"""Sentences of Chinese prose, and the quotes that open and close in them."""

import re

QUOTES = {"“": "”", "‘": "’", "「": "」", "『": "』"}
"""Each opening quote with the one that closes it."""

CLOSING_QUOTES = "".join(QUOTES.values())

_SENTENCE = re.compile(r"[^…。！？!?\n]*(?:[…。！？!?]+[”’」』）]*\n?|\n|$)")


def sentences(text: str) -> list[str]:
    """The sentences of a text with their end marks, closing quotes and line breaks.

    Joined, they are the text.
    """
    return [sentence for sentence in _SENTENCE.findall(text) if sentence]


def quotes_balance(text: str) -> bool:
    """Whether the text closes as many quotes of each kind as it opens."""
    return all(text.count(opening) == text.count(close) for opening, close in QUOTES.items())
