"""Which tones may still follow in a line of verse by rule.

A way is what is known of a line before it is whole. In regulated verse it is the tone of its second
character, from which its pattern follows, and whether the line before needs this one's licence; a
line of a tune has one way, its own tones. `at` is the kind of a line: FIXED in a tune, or in
regulated verse 0 for the first line, 1 for an even one and 2 for a later odd one.
"""

from collections.abc import Iterator
from functools import cache

from wenmo.text.patterns import EITHER
from wenmo.text.prosody import keeps_rules, missed, needs_rescue, opening_after
from wenmo.text.readings import LEVEL, OBLIQUE

Tones = tuple[frozenset[str], ...]
Way = tuple[str, bool]
Ways = frozenset[Way]

FIXED = -1
OPENINGS: Ways = frozenset((opening, False) for opening in (LEVEL, OBLIQUE))
"""The ways of a first line of regulated verse."""

_DEFINITE = (frozenset({LEVEL}), frozenset({OBLIQUE}))
_TONES = (frozenset[str](), *_DEFINITE, frozenset({LEVEL, OBLIQUE}))


def line_kind(line: int) -> int:
    """The kind of a line of regulated verse, counted from 0."""
    return line if line < 2 else 2 - line % 2


@cache
def can_become(line: Tones, length: int, at: int, opening: str, rescues: bool) -> bool:
    """Whether a line that begins with these tones can keep the rules."""
    if at == FIXED:
        return all(own in (EITHER, *tones) for own, tones in zip(opening, line, strict=False))
    if len(line) == length:
        return keeps_rules(list(line), at, opening, rescues=rescues)
    return any(can_become((*line, each), length, at, opening, rescues) for each in _DEFINITE)


@cache
def ways_left(line: Tones, ways: Ways, length: int, at: int) -> Ways:
    """The ways that a line which begins with these tones can still have."""
    return frozenset(way for way in ways if can_become(line, length, at, *way))


@cache
def following(line: Tones, ways: Ways, at: int) -> Ways:
    """The ways of the line after one of regulated verse."""
    return frozenset(
        (opening_after(opening, at + 1), needs_rescue(list(line), at, opening))
        for opening, _ in ways
    )


def nearest(line: Tones, ways: Ways) -> Ways:
    """The ways that a line which may break rules comes nearest to."""
    least = min(missed(list(line), opening) for opening, _ in ways)
    return frozenset(way for way in ways if missed(list(line), way[0]) == least)


@cache
def outlook(line: Tones, ways: Ways, length: int, at: int, characters: int) -> tuple[object, ...]:
    """For each kind of next character what may follow it, or None if it is not allowed."""
    if len(line) == length:
        return ("next line", following(line, ways, at))
    return tuple(_outlooks(line, ways, length, at, characters)) if characters else ()


def _outlooks(line: Tones, ways: Ways, length: int, at: int, characters: int) -> Iterator[object]:
    for each in _TONES:
        after = (*line, each)
        left = ways_left(after, ways, length, at)
        yield outlook(after, left, length, at, characters - 1) if left else None
