"""Cutting a chapter into passages that a model can be asked to write.

A sentence keeps its closing quotes: splitting at every 。 would open the next passage with an
orphan ”. Joined, the passages are the chapter again.
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

# How good a place to close a passage is, the best first.
PARAGRAPH, SENTENCE, SEMICOLON, COMMA, ANYWHERE = range(5)

# What a flaw costs, against half a unit for each character of distance from the target length: an
# open quote weighs more than any length, and an orphan quote more than all else.
_END_COSTS = {PARAGRAPH: 0, SENTENCE: 50, SEMICOLON: 400, COMMA: 500, ANYWHERE: 2000}
_UNBALANCED = 1000
_SHORT_CHARACTER = 10
_ORPHAN_QUOTE = 100_000


class Piece(NamedTuple):
    """A sentence or a part of an overlong one, and what its end is worth as a passage's end."""

    text: str
    end: int


def passages(chapter: str, params: PassageParams) -> list[str]:
    """A chapter in passages of `minimum` to `maximum` characters, together the chapter again.

    Of all ways to cut it, the one that costs least is taken, as TeX breaks lines (Knuth and Plass
    1981, https://doi.org/10.1002/spe.4380110184): a passage should end with a sentence, where its
    quotes balance, preferably where a paragraph ends, and be near `target`. Packing greedily
    instead leaves more quotes open and a short tail in most chapters. Only the last passage can
    be shorter than `minimum`.
    """
    # No piece is longer than the room between minimum and maximum, so one always ends in there.
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
    """What a passage of that length costs; half a unit is a character beside the target."""
    if length < params.minimum:
        return _SHORT_CHARACTER * length
    return abs(length - params.target) / 2 + (0 if balanced else _UNBALANCED)


def _end_cost(piece: Piece, following: Piece) -> float:
    orphan = following.text[0] in CLOSING_QUOTES
    return _END_COSTS[piece.end] + (_ORPHAN_QUOTE if orphan else 0)


def _quote_depths(pieces: list[Piece]) -> list[tuple[int, ...]]:
    """Before each piece and after the last, how many quotes of each kind stand open."""
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
    """An overlong text cut at semicolons, then commas, then anywhere."""
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
