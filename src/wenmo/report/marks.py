"""The runs of characters that a text shares with its reference, which the page marks."""

from collections.abc import Iterator

SHORTEST = 2


def shared_runs(text: str, reference: str) -> Iterator[tuple[str, bool]]:
    """The text in pieces, each with whether the reference contains it. Joined, they are the text.

    From left to right, the longest runs of SHORTEST or more characters are taken. Punctuation and
    white space end a run, since a shared comma says nothing.
    """
    plain = at = 0
    while at < len(text):
        end = at
        while end < len(text) and text[end].isalnum() and text[at : end + 1] in reference:
            end += 1
        if end - at < SHORTEST:
            at += 1
            continue
        if plain < at:
            yield text[plain:at], False
        yield text[at:end], True
        plain = at = end
    if plain < len(text):
        yield text[plain:], False
