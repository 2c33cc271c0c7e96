"""A text as characters: white space is left out, since Chinese is written without it."""

COPY_NGRAM = 13
"""Characters in common from which on a text counts as copied.

GPT-3's authors took 13 words (Brown et al. 2020, appendix C, https://arxiv.org/abs/2005.14165). 13
characters are long enough that a common phrase is hardly counted, and short enough that a copied
sentence is found.
"""


def without_space(text: str) -> str:
    """The text without its white space."""
    return "".join(text.split())


def ngrams(text: str, n: int) -> list[str]:
    """All n-grams of the text's characters, in order; none if the text is shorter than `n`."""
    characters = without_space(text)
    return [characters[at : at + n] for at in range(len(characters) - n + 1)]
