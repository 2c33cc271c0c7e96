"""Verse that keeps its rules while it is written: which characters may come next.

The rules are those that `wenmo.text.prosody` judges by. A state holds what they need of the text so
far, and a character is allowed only if the poem can still be finished with the characters of an
alphabet. Of a character that the model writes, only those readings count that it has in any line
(`wenmo.text.certain_readings`); those of a given first line are known.

`form` asks for the lines and their characters, with a mark after each line and a couplet on each
row of the text. `rhyme` asks besides that all even lines end in different words of one 平水 rhyme,
and that no more characters are repeated than LEAST_DIFFERENT allows.
`full` asks besides, in regulated forms, for a level rhyme and for tones without any fault, 三平尾
and 孤平 included.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Literal, NamedTuple

from wenmo.core.language import gettext
from wenmo.text.certain_readings import CHARACTERS, certain_readings, certain_tones
from wenmo.text.prosody import (
    LEAST_DIFFERENT,
    is_chinese,
    keeps_rules,
    missed,
    needs_rescue,
    opening_after,
    regulated,
)
from wenmo.text.readings import LEVEL, OBLIQUE, Reading, line_readings, rhyme_name, tones

ODD_MARKS, EVEN_MARKS, LAST_MARKS = "，；？！", "。；？！", "。？！"
LINE_BREAK = "\n"

Tones = tuple[frozenset[str], ...]
Way = tuple[str, bool]
"""The tone of a line's second character, and whether the line before needs this one's licence."""

FAR = 3
"""More characters ahead are not looked at one by one."""

_CHARACTERS = frozenset(CHARACTERS)
_OPENINGS = (LEVEL, OBLIQUE)
_TONES = tuple(map(frozenset, ("", LEVEL, OBLIQUE, LEVEL + OBLIQUE)))
_DEFINITE = tuple(frozenset({tone}) for tone in _OPENINGS)


@dataclass(frozen=True)
class Verse:
    """What is asked of a poem: `lines` of `length` characters each, and how much of the rules.

    An empty `first_line` is the writer's to choose, and so is a `rhyme` of None. `lenient` exempts
    a given first line from the rules of tones and from repetition, so that only the lines after it
    keep them.
    """

    rule: Literal["form", "rhyme", "full"]
    lines: int
    length: int
    first_line: str = ""
    rhyme: Reading | None = None
    lenient: bool = False

    @cached_property
    def feet(self) -> int:
        """The number of lines that rhyme; 0 if no rhyme is asked for or a line is alone."""
        even = self.lines // 2
        return even if self.rule != "form" and even >= 2 else 0

    @cached_property
    def repeats(self) -> int:
        """How many characters may stand in the poem already."""
        characters = self.lines * self.length
        if self.rule == "form":
            return characters
        most = next(each for each in range(characters) if _too_few(each + 1, characters))
        return max(most, self._first_repeats) if self.lenient else most

    @cached_property
    def _first_repeats(self) -> int:
        """The repetitions that the first line leaves no way around; rhyme words may be some."""
        return len(self.first_line) - len(set(self.first_line)) + self.feet

    @cached_property
    def has_tones(self) -> bool:
        """Whether rules of tones are asked for."""
        return self.rule == "full" and regulated(["一" * self.length] * self.lines)

    @cached_property
    def first_tones(self) -> Tones:
        """The tones of the given first line."""
        return tuple(map(tones, line_readings(self.first_line))) if self.first_line else ()

    def fault(self) -> str:
        """Why no writer can give such a poem, or an empty string."""
        first = self.first_line
        if not self.lines or not self.length:
            return gettext("a poem has lines, and a line has characters")
        if first and (len(first) != self.length or not is_chinese(first)):
            return gettext(
                "the first line {line!r} is not of {length} Chinese characters",
                line=first,
                length=self.length,
            )
        if self.rhyme and self.has_tones and self.rhyme[1] != "平":
            return gettext(
                "{rhyme} is oblique, and regulated verse has level rhymes",
                rhyme=rhyme_name(self.rhyme),
            )
        if self.breaks_rules():
            return gettext(
                "the first line {line!r} breaks the rules of tones or repetition itself", line=first
            )
        return ""

    def breaks_rules(self) -> bool:
        """Whether the given first line has faults by itself, and is not exempt."""
        if self.lenient or len(self.first_line) != self.length:
            return False
        if self._first_repeats > self.repeats:
            return True
        if not self.has_tones:
            return False
        ways = ((opening, False) for opening in _OPENINGS)
        return not any(_can_become(self.first_tones, self.length, 0, *way) for way in ways)


class Alphabet:
    """The characters that a writer has, by reading, tones and the bytes that they begin with."""

    def __init__(self, characters: frozenset[str]) -> None:
        self.characters = characters & _CHARACTERS
        rhyming: dict[Reading, set[str]] = {}
        self.by_start: dict[bytes, dict[frozenset[str], list[str]]] = {}
        for character in sorted(self.characters):
            for reading in certain_readings(character):
                rhyming.setdefault(reading, set()).add(character)
            for start in starts(character):
                kinds = self.by_start.setdefault(start, {})
                kinds.setdefault(certain_tones(character), []).append(character)
        self.rhyming = {reading: frozenset(found) for reading, found in rhyming.items()}

    @cached_property
    def fewest(self) -> int:
        """The number of characters for a level place or for an oblique one, whichever is less."""
        has = [certain_tones(each) for each in self.characters]
        return min(sum(tone in each for each in has) for tone in _OPENINGS)


def starts(character: str) -> Iterator[bytes]:
    """The bytes that a character begins with, without its last one."""
    encoded = character.encode()
    return (encoded[:length] for length in range(1, len(encoded)))


class State(NamedTuple):
    """The poem so far: `line` and `place` of the next character, both from 0.

    The place after a line's last character is its mark's, and then comes a line break. `tones` are
    those of the present line, `ways` the openings that it can still have. `rhymes` are the readings
    that all `feet` so far share. `seen` are the characters so far, of which `repeats` stand there
    more than once.
    """

    line: int
    place: int
    tones: Tones
    ways: frozenset[Way]
    rhymes: frozenset[Reading]
    feet: frozenset[str]
    seen: frozenset[str]
    repeats: int


class VerseMachine:
    """What may follow in one poem, for a writer with that alphabet."""

    def __init__(self, verse: Verse, alphabet: Alphabet) -> None:
        self.verse, self.alphabet = verse, alphabet
        rhymes = {
            reading
            for reading, words in alphabet.rhyming.items()
            if len(words) >= verse.feet
            and (verse.rhyme is None or reading == verse.rhyme)
            and (not verse.has_tones or reading[1] == "平")
        }
        ways = frozenset((opening, False) for opening in _OPENINGS) if verse.has_tones else ()
        none: frozenset[str] = frozenset()
        self.start = State(0, 0, (), frozenset(ways), frozenset(rhymes), none, none, 0)

    def fault(self) -> str:
        """Why no poem can be as it is asked for, or an empty string."""
        verse = self.verse
        if fault := verse.fault():
            return fault
        # Then there is always one that is not in the poem yet.
        if self.alphabet.fewest < (verse.lines * verse.length if verse.rule != "form" else 1):
            return gettext("the tokenizer has too few Chinese characters for verse")
        if verse.feet and not self.start.rhymes:
            if not verse.rhyme:
                return gettext(
                    "the tokenizer has fewer than {count} words in any rhyme", count=verse.feet
                )
            return gettext(
                "the tokenizer has fewer than {count} words in {rhyme}",
                count=verse.feet,
                rhyme=rhyme_name(verse.rhyme),
            )
        return ""

    def step(self, state: State, character: str, *, by_kind: bool = False) -> State | None:
        """The state after one more character, or None if it is not allowed.

        `by_kind` looks at its tones alone: it rhymes, repeats nothing and is not remembered.
        """
        if self.is_finished(state):
            return None
        if state.place == self.verse.length:
            return self._after_mark(state) if character in self.marks(state) else None
        if state.place > self.verse.length:
            return self._next_line(state) if character == LINE_BREAK else None
        if self.is_given(state):
            if character != self.verse.first_line[state.place]:
                return None
        elif character not in _CHARACTERS:
            return None
        if not by_kind:
            remembered = self._remembering(state, character)
            if remembered is None:
                return None
            state = remembered
        if self.verse.has_tones:
            state = self._with_tones(state, character)
            if not state.ways:
                return None
        return state._replace(place=state.place + 1)

    def text(self, state: State, characters: str) -> State | None:
        """The state after some characters, or None if they are not allowed."""
        found: State | None = state
        for character in characters:
            if found is None:
                return None
            found = self.step(found, character)
        return found

    def may_begin(self, state: State, start: bytes) -> bool:
        """Whether a character of the alphabet that begins with these bytes is allowed."""
        if self.is_finished(state):
            return False
        if state.place >= self.verse.length:
            wanted = self.marks(state) if state.place == self.verse.length else LINE_BREAK
            return any(each.encode().startswith(start) for each in wanted)
        if self.is_given(state):
            return self.verse.first_line[state.place].encode().startswith(start)
        if self.is_foot(state):
            rhymes = self.open_rhymes(state)
            words = (word for each in rhymes for word in self.alphabet.rhyming[each])
            return any(word not in state.feet and word.encode().startswith(start) for word in words)
        avoided = frozenset() if self.slack(state) else state.seen
        kinds = self.alphabet.by_start.get(start, {}).values()
        examples = (next((c for c in kind if c not in avoided), None) for kind in kinds)
        return any(each and self.step(state, each) is not None for each in examples)

    def is_finished(self, state: State) -> bool:
        """Whether the poem is complete; nothing but its end may follow."""
        return state.line == self.verse.lines

    def is_given(self, state: State) -> bool:
        """Whether the next character is one of the given first line."""
        return state.line == 0 and bool(self.verse.first_line) and state.place < self.verse.length

    def is_foot(self, state: State) -> bool:
        """Whether the next character is a rhyme word."""
        verse = self.verse
        return bool(verse.feet) and state.line % 2 == 1 and state.place == verse.length - 1

    def open_rhymes(self, state: State) -> frozenset[Reading]:
        """The rhymes that have enough words for this foot and all that follow."""
        if not state.feet:
            return state.rhymes
        left = self.verse.feet - len(state.feet)
        rhyming = self.alphabet.rhyming
        return frozenset(
            each for each in state.rhymes if len(rhyming.get(each, state.feet) - state.feet) >= left
        )

    def slack(self, state: State) -> int:
        """How many more characters may be repeated besides the rhyme words that are to come."""
        return self.verse.repeats - state.repeats - (self.verse.feet - len(state.feet))

    def marks(self, state: State) -> str:
        """The marks that may follow the present line."""
        if state.line == self.verse.lines - 1:
            return LAST_MARKS
        return EVEN_MARKS if state.line % 2 else ODD_MARKS

    def left(self, state: State) -> int:
        """The number of characters that the poem still lacks, with marks and line breaks."""
        verse = self.verse
        if self.is_finished(state):
            return 0
        per_line = verse.length + 1
        breaks = (verse.lines - 1) // 2 - state.line // 2
        return (verse.lines - state.line) * per_line + breaks - state.place

    def outlook(self, state: State, characters: int) -> object:
        """What decides about the tones of so many characters: the same for states that agree."""
        if not self.verse.has_tones:
            return None
        if state.place >= self.verse.length or characters > FAR:
            return state.tones, state.ways
        at = _kind(state.line)
        return _outlook(state.tones, state.ways, self.verse.length, at, characters)

    def _remembering(self, state: State, character: str) -> State | None:
        """The state with a character as rhyme word or as another one; None if it may be neither."""
        repeats = character in state.seen
        if self.is_foot(state):
            rhymes = self.open_rhymes(state) & certain_readings(character)
            if not rhymes or character in state.feet:
                return None
            state = state._replace(rhymes=rhymes, feet=state.feet | {character})
        elif repeats and not self.slack(state):
            return None
        return state._replace(seen=state.seen | {character}, repeats=state.repeats + repeats)

    def _with_tones(self, state: State, character: str) -> State:
        """The state with the character's tones and the ways that are left."""
        given = self.is_given(state)
        found = self.verse.first_tones[state.place] if given else certain_tones(character)
        line = (*state.tones, found)
        if given and self.verse.lenient:
            return state._replace(tones=line)
        at = _kind(state.line)
        return state._replace(tones=line, ways=_left(line, state.ways, self.verse.length, at))

    def _after_mark(self, state: State) -> State:
        verse = self.verse
        if state.line % 2 and state.line < verse.lines - 1:
            return state._replace(place=verse.length + 1)
        return self._next_line(state)

    def _next_line(self, state: State) -> State:
        line = state.line + 1
        ways = frozenset(self._following(state)) if self.verse.has_tones else state.ways
        return state._replace(line=line, place=0, tones=(), ways=ways)

    def _following(self, state: State) -> Iterator[Way]:
        """The ways of the next line."""
        ways = state.ways
        if self.verse.lenient and state.line == 0:
            line = list(state.tones)
            least = min(missed(line, opening) for opening, _ in ways)
            ways = frozenset(way for way in ways if missed(line, way[0]) == least)
        return (_following(state.tones, _kind(state.line), opening) for opening, _ in ways)


def _too_few(repeats: int, characters: int) -> bool:
    """Whether too few of a poem's characters are different, as `wenmo.text.prosody` counts."""
    return (characters - repeats) / characters < LEAST_DIFFERENT


def _kind(line: int) -> int:
    """A line, from 0, to which the same rules apply: the first, an even or a later odd one."""
    return line if line < 2 else 2 - line % 2


@cache
def _can_become(line: Tones, length: int, at: int, opening: str, rescues: bool) -> bool:
    """Whether a line that begins with these tones can keep the rules."""
    if len(line) == length:
        return keeps_rules(list(line), at, opening, rescues=rescues)
    return any(_can_become((*line, each), length, at, opening, rescues) for each in _DEFINITE)


@cache
def _left(line: Tones, ways: frozenset[Way], length: int, at: int) -> frozenset[Way]:
    """The ways that a line which begins with these tones can still have."""
    return frozenset(way for way in ways if _can_become(line, length, at, *way))


@cache
def _following(line: Tones, at: int, opening: str) -> Way:
    """The way of the next line."""
    return opening_after(opening, at + 1), needs_rescue(list(line), at, opening)


@cache
def _outlook(
    line: Tones, ways: frozenset[Way], length: int, at: int, characters: int
) -> tuple[object, ...]:
    """For each kind of next character what may follow it, or None if it is not allowed."""
    if len(line) == length:
        return ("next line", *sorted(_following(line, at, opening) for opening, _ in ways))
    if not characters:
        return ()
    found: list[object] = []
    for each in _TONES:
        after = (*line, each)
        left = _left(after, ways, length, at)
        found.append(_outlook(after, left, length, at, characters - 1) if left else None)
    return tuple(found)
