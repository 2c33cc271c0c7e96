"""What a text has in common with its reference, for marking it on a page."""

from collections.abc import Iterator

SHORTEST = 2


def shared_runs(text: str, reference: str) -> Iterator[tuple[str, bool]]:
    """The text in pieces, each with whether it stands in the reference; together they are the text.

    From left to right the longest runs of two or more characters are taken. Punctuation and white
    space end a run: a comma in common says nothing, and two clauses that happen to follow each
    other as in the reference are two things in common.
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
