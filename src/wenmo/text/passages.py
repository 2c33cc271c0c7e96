"""Passages: a chapter is cut into pieces of a length that a model can write.

The passages, joined, are the chapter. A sentence keeps its closing quotes, since a cut at every 。
would leave an orphan ” at the beginning of the next passage.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate
from math import inf
from typing import NamedTuple

from wenmo.config.novel import PassageParams
from wenmo.text.sentences import CLOSING_QUOTES, QUOTES, sentences

_CLAUSE = (
    re.compile(r"[^；;]*(?:[；;][”’」』）]*|$)"),
    re.compile(r"[^，,]*(?:[，,][”’」』）]*|$)"),
)

# Places to end a passage, the best first.
PARAGRAPH, SENTENCE, SEMICOLON, COMMA, ANYWHERE = range(5)

# Costs. A character of distance from the target length costs 0.5. An open quote costs more than any
# length, and an orphan quote more than anything else.
_END_COSTS = {PARAGRAPH: 0, SENTENCE: 50, SEMICOLON: 400, COMMA: 500, ANYWHERE: 2000}
_UNBALANCED = 1000
_SHORT_CHARACTER = 10
_ORPHAN_QUOTE = 100_000


class Piece(NamedTuple):
    """A sentence or a part of an overlong one, and the kind of place at its end."""

    text: str
    end: int


def passages(chapter: str, params: PassageParams) -> list[str]:
    """A chapter cut into passages of `minimum` to `maximum` characters.

    Only the last passage can be shorter. The cut is the cheapest of all, as in TeX's line breaking
    (Knuth and Plass 1981, https://doi.org/10.1002/spe.4380110184): a passage should be near
    `target`, have balanced quotes, and end with a sentence, preferably with a paragraph. Greedy
    packing leaves more quotes open and a short tail in most chapters.
    """
    # No piece is longer than maximum - minimum, so that a piece always ends between the two.
    pieces = list(_pieces(chapter, params.maximum - params.minimum))
    offsets = list(accumulate((len(piece.text) for piece in pieces), initial=0))
    depths = _quote_depths(pieces)
    last = len(pieces)
    cost = [0.0] + [inf] * last
    came_from = [0] * (last + 1)
    for end in range(1, last + 1):
        first = bisect_left(offsets, offsets[end] - params.maximum, hi=end)
        for start in range(first, end):
            length = offsets[end] - offsets[start]
            if length < params.minimum and end < last:
                break
            passage_cost = _cost(length, depths[start] == depths[end], params)
            if cost[start] + passage_cost < cost[end]:
                cost[end], came_from[end] = cost[start] + passage_cost, start
        if end < last:
            cost[end] += _end_cost(pieces[end - 1], pieces[end])
    cut = []
    while last:
        cut.append(chapter[offsets[came_from[last]] : offsets[last]])
        last = came_from[last]
    return cut[::-1]


def _cost(length: int, balanced: bool, params: PassageParams) -> float:
    """The cost of a passage of this length, without that of its end."""
    if length < params.minimum:
        return _SHORT_CHARACTER * length
    return abs(length - params.target) / 2 + (0 if balanced else _UNBALANCED)


def _end_cost(piece: Piece, following: Piece) -> float:
    orphan = following.text[0] in CLOSING_QUOTES
    return _END_COSTS[piece.end] + (_ORPHAN_QUOTE if orphan else 0)


def _quote_depths(pieces: list[Piece]) -> list[tuple[int, ...]]:
    """The number of open quotes of each kind, before each piece and after the last."""
    changes = (
        [piece.text.count(opening) - piece.text.count(close) for piece in pieces]
        for opening, close in QUOTES.items()
    )
    return list(zip(*(accumulate(change, initial=0) for change in changes), strict=True))


def _pieces(chapter: str, longest: int) -> Iterator[Piece]:
    for sentence in sentences(chapter):
        end = PARAGRAPH if sentence.endswith("\n") else SENTENCE
        yield from _cut(sentence, end, longest, SEMICOLON)


def _cut(text: str, end: int, longest: int, level: int) -> Iterator[Piece]:
    """The text, if it is longer than `longest` cut at semicolons, then commas, then anywhere."""
    if len(text) <= longest:
        yield Piece(text, end)
        return
    if level == ANYWHERE:
        parts = [text[at : at + longest] for at in range(0, len(text), longest)]
    else:
        parts = [part for part in _CLAUSE[level - SEMICOLON].findall(text) if part]
    for part in parts[:-1]:
        yield from _cut(part, level, longest, min(level + 1, ANYWHERE))
    yield from _cut(parts[-1], end, longest, min(level + 1, ANYWHERE))
