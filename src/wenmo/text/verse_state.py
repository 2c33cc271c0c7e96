"""Verse that keeps its rules while it is written: which characters may come next.

The rules are those that `wenmo.text.prosody` and `wenmo.text.tune_rules` judge by. A state holds
what they need of the text so far, and a character is allowed only if the poem can still be finished
with the characters of an alphabet. Of a character that the model writes, only those readings count
that it has in any line (`wenmo.text.certain_readings`); those of a given first line are known.

`form` asks for the lines and their characters, with a mark after each line and a couplet or stanza
on each row of the text. `rhyme` asks besides that the lines which should rhyme end in different
words of one rhyme, and that no more characters are repeated than LEAST_DIFFERENT allows. `full`
asks besides, in regulated forms, for a level rhyme and for tones without any fault, 三平尾 and 孤平
included, and in tunes for the tones of the tune.
"""

from typing import NamedTuple

from wenmo.core.language import gettext
from wenmo.text.alphabet import Alphabet, rhymes_in_any_line
from wenmo.text.asked_verse import Verse
from wenmo.text.certain_readings import CHARACTERS, certain_tones
from wenmo.text.readings import Reading, rhyme_name, shown
from wenmo.text.tune_rhymes import TUNE_GROUPS
from wenmo.text.verse_tones import Tones, Ways, following, nearest, outlook, ways_left

LINE_BREAK = "\n"
FAR = 3
"""More characters ahead are not looked at one by one."""

_CHARACTERS = frozenset(CHARACTERS)


class State(NamedTuple):
    """The poem so far: `line` and `place` of the next character, both from 0.

    The place after a line's last character is its mark's, and then may come a line break. `tones`
    are those of the present line, `ways` what it can still become (`wenmo.text.verse_tones`).
    `rhymes` are, for each letter of the pattern, what its feet so far share (`Line.rhymes`), `feet`
    the rhyme words so far. `seen` are the characters so far, of which `repeats` stand there more
    than once.
    """

    line: int
    place: int
    tones: Tones
    ways: Ways
    rhymes: tuple[frozenset[Reading], ...]
    feet: frozenset[str]
    seen: frozenset[str]
    repeats: int


class VerseMachine:
    """What may follow in one poem, for a writer with that alphabet."""

    def __init__(self, verse: Verse, alphabet: Alphabet) -> None:
        self.verse, self.alphabet, self.lines = verse, alphabet, verse.lines
        self.letters = list(verse.rhyme_tones)
        ways = verse.ways(0) if verse.has_tones and verse.lines else Ways()
        rhymes = tuple(map(self._possible, self.letters)) if verse.feet else ()
        none: frozenset[str] = frozenset()
        self.start = State(0, 0, (), ways, rhymes, none, none, 0)

    def fault(self) -> str:
        """Why no poem can be as it is asked for, or an empty string."""
        verse = self.verse
        if fault := verse.fault():
            return fault
        # Then there is always one that is not in the poem yet.
        if self.alphabet.fewest < (verse.characters if verse.rule != "form" else 1):
            return gettext("the tokenizer has too few Chinese characters for verse")
        if not all(self.start.rhymes):
            if not verse.rhyme:
                return gettext(
                    "the tokenizer has fewer than {count} words in any rhyme",
                    count=verse.least_words,
                )
            return gettext(
                "the tokenizer has fewer than {count} words in {rhyme}",
                count=verse.least_words,
                rhyme=shown(rhyme_name(verse.rhyme)),
            )
        if verse.first_line and self.text(self.start, verse.first_line) is None:
            return gettext(
                "the first line {line!r} has another rhyme, or one without words",
                line=verse.first_line,
            )
        return ""

    def _possible(self, letter: str) -> frozenset[Reading]:
        """The rhymes that lines of a letter can have; each has words enough for all feet.

        Whatever the feet before, a rhyme then has a word left for each foot that is to come.
        """
        verse, lines = self.verse, [each for each in self.lines if each.rhyme == letter]
        words = {
            reading: found
            for reading, found in self.alphabet.rhyming.items()
            if (reading[0] in TUNE_GROUPS) is verse.is_tune and len(found) >= verse.least_words
        }
        found = lines[0].rhymes(frozenset(words))
        found = frozenset(
            each
            for each in found
            if all(line.readings(frozenset({each})) <= words.keys() for line in lines)
        )
        if verse.has_tones and not verse.is_tune:
            found = frozenset(each for each in found if each[1] == "平")
        if verse.rhyme and verse.letter_of_rhyme == letter:
            found &= {(verse.rhyme[0], "") if verse.is_tune else verse.rhyme}
        return found

    def step(self, state: State, character: str, *, by_kind: bool = False) -> State | None:
        """The state after one more character, or None if it is not allowed.

        `by_kind` looks at its tones alone: it rhymes, repeats nothing and is not remembered.
        """
        if self.is_finished(state):
            return None
        length = self.lines[state.line].length
        if state.place == length:
            return self._after_mark(state) if character in self.lines[state.line].marks else None
        if state.place > length:
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
        line = self.lines[state.line]
        if state.place >= line.length:
            wanted = line.marks if state.place == line.length else LINE_BREAK
            return any(each.encode().startswith(start) for each in wanted)
        if self.is_given(state):
            return self.verse.first_line[state.place].encode().startswith(start)
        if self.is_foot(state):
            may_repeat = self.verse.feet_may_repeat or self.slack(state)
            words = self.rhyme_words(state) - (state.feet if may_repeat else state.seen)
            return any(word.encode().startswith(start) for word in words)
        avoided = frozenset() if self.slack(state) else state.seen
        kinds = self.alphabet.by_start.get(start, {}).values()
        examples = (next((c for c in kind if c not in avoided), None) for kind in kinds)
        return any(each and self.step(state, each, by_kind=True) for each in examples)

    def is_finished(self, state: State) -> bool:
        """Whether the poem is complete; nothing but its end may follow."""
        return state.line == len(self.lines)

    def is_given(self, state: State) -> bool:
        """Whether the next character is one of the given first line."""
        return state.line == 0 and state.place < len(self.verse.first_line)

    def is_foot(self, state: State) -> bool:
        """Whether the next character is a rhyme word."""
        if not self.verse.feet or self.is_finished(state):
            return False
        line = self.lines[state.line]
        return bool(line.rhyme) and state.place == line.length - 1

    def is_foot_that_may_repeat(self, state: State) -> bool:
        """Whether the next character is a rhyme word that may stand in the poem in any case."""
        return self.verse.feet_may_repeat and self.is_foot(state)

    def rhymes(self, state: State) -> frozenset[Reading]:
        """The readings that the next rhyme word may have; none if there is none to come."""
        first = state.line + (state.place >= self.lines[state.line].length)
        for line in self.lines[first:] if self.verse.feet else ():
            if line.rhyme:
                return line.readings(state.rhymes[self.letters.index(line.rhyme)])
        return frozenset()

    def rhyme_words(self, state: State) -> frozenset[str]:
        """The words of the alphabet that have these readings."""
        return frozenset(w for each in self.rhymes(state) for w in self.alphabet.rhyming[each])

    def slack(self, state: State) -> int:
        """How many more characters may be repeated besides the rhyme words that are to come."""
        slack = self.verse.repeats - state.repeats
        return slack - (self.verse.feet - len(state.feet)) * self.verse.feet_may_repeat

    def characters_left(self, state: State) -> int:
        """The number of characters that the poem still lacks, without marks and line breaks."""
        place = min(state.place, self.lines[state.line].length) if self.lines[state.line :] else 0
        return sum(line.length for line in self.lines[state.line :]) - place

    def left(self, state: State) -> int:
        """The number of characters that the poem still lacks, with marks and line breaks."""
        lines = self.lines[state.line :]
        return sum(line.length + 1 + line.ends_row for line in lines) - state.place

    def ahead(self, state: State, characters: int) -> tuple[object, ...]:
        """What decides about so many characters but rhyme and repetition.

        It is the same for states that agree in this, be they of different poems.
        """
        verse = self.verse
        # A line has a character and a mark at least.
        lines = self.lines[state.line : state.line + 2 + characters // 2]
        return lines, verse.has_tones, bool(verse.feet), state.place, self._tones(state, characters)

    def _tones(self, state: State, characters: int) -> object:
        if not self.verse.has_tones or self.verse.is_tune:
            return None
        length, at = self.lines[state.line].length, self.verse.kind(state.line)
        if state.place >= length or characters > FAR:
            return at, state.tones, state.ways
        return at, outlook(state.tones, state.ways, length, at, characters)

    def _remembering(self, state: State, character: str) -> State | None:
        """The state with a character as rhyme word or as another one; None if it may be neither."""
        repeats = character in state.seen
        if repeats and not self.slack(state) and not self.is_foot_that_may_repeat(state):
            return None
        if self.is_foot(state):
            after = self._rhyming(state, character)
            if after is None:
                return None
            state = after
        return state._replace(seen=state.seen | {character}, repeats=state.repeats + repeats)

    def _rhyming(self, state: State, word: str) -> State | None:
        """The state with a rhyme word, or None if it does not rhyme or is one already."""
        line, given = self.lines[state.line], self.is_given(state)
        at = self.letters.index(line.rhyme)
        found = self.verse.first_foot if given else rhymes_in_any_line(word)
        shared = state.rhymes[at] & line.rhymes(found)
        if given and self.verse.lenient:
            shared = shared or state.rhymes[at]
        if not shared or word in state.feet:
            return None
        rhymes = (*state.rhymes[:at], shared, *state.rhymes[at + 1 :])
        return state._replace(rhymes=rhymes, feet=state.feet | {word})

    def _with_tones(self, state: State, character: str) -> State:
        """The state with the character's tones and the ways that are left."""
        given = self.is_given(state)
        found = self.verse.first_tones[state.place] if given else certain_tones(character)
        line = (*state.tones, found)
        if given and self.verse.lenient:
            return state._replace(tones=line)
        length, at = self.lines[state.line].length, self.verse.kind(state.line)
        return state._replace(tones=line, ways=ways_left(line, state.ways, length, at))

    def _after_mark(self, state: State) -> State:
        if self.lines[state.line].ends_row:
            return state._replace(place=state.place + 1)
        return self._next_line(state)

    def _next_line(self, state: State) -> State:
        after = state._replace(line=state.line + 1, place=0, tones=())
        if self.verse.has_tones and not self.is_finished(after):
            after = after._replace(ways=self._following(state))
        return after

    def _following(self, state: State) -> Ways:
        """The ways of the next line."""
        if self.verse.is_tune:
            return self.verse.ways(state.line + 1)
        exempt = self.verse.lenient and state.line == 0
        ways = nearest(state.tones, state.ways) if exempt else state.ways
        return following(state.tones, ways, self.verse.kind(state.line))
