"""A poem's analysis: its tones, rhymes and faults, and the faults that every form of verse has."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from wenmo.text.readings import Reading, rhyme_name, shown

LineTones = list[frozenset[str]]

_CHINESE = re.compile("[〇\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")

LEAST_DIFFERENT = 0.8
"""The share of different characters below which a poem repeats itself."""


class Rule(StrEnum):
    """The rule that a fault breaks."""

    FORM = "form"
    CHARACTER = "character"
    ALTERNATION = "alternation"
    OPPOSITION = "opposition"
    ADHESION = "adhesion"
    LEVEL_FOOT = "level rhyme foot"
    OBLIQUE_END = "oblique line end"
    RHYME = "rhyme"
    THREE_LEVEL = "three level tones"
    LONE_LEVEL = "lone level tone"
    REPEATED_FOOT = "repeated rhyme word"
    REPEATED_LINE = "repeated line"
    REPEATED_CHARACTERS = "repeated characters"
    TUNE_LINES = "lines of the tune"
    TUNE_TONE = "tone of the tune"


TONE_RULES = frozenset(
    {
        Rule.ALTERNATION,
        Rule.OPPOSITION,
        Rule.ADHESION,
        Rule.LEVEL_FOOT,
        Rule.OBLIQUE_END,
        Rule.TUNE_TONE,
    }
)


class Licence(StrEnum):
    """What allows an odd line to leave its pattern."""

    SPECIAL_ENDING = "特拗"
    NEXT_LINE = "對句相救"


@dataclass(frozen=True)
class Fault:
    """A broken rule.

    `line` and `character` count from 1; line 0 is the whole poem, character 0 the whole line.
    `expected` and `found` hold tones (平 and 仄), for OPPOSITION and ADHESION those at 2-4-6. They
    hold names of rhymes for RHYME, a line's length or the poem's lines×characters for FORM, a
    line's length or the number of lines for TUNE_LINES, the character for CHARACTER, those that are
    repeated for REPEATED_CHARACTERS, and the number of the earlier line for other repetitions.
    Either may be empty.
    """

    rule: Rule
    line: int
    character: int
    expected: str
    found: str


@dataclass(frozen=True)
class Analysis:
    """A poem's readings, tones and faults, by line and character.

    `rhymes` has, by number, the lines that should rhyme, and the first one if it does, with the
    reading that most of them share, if any. `licences` are by line number. `checks` is the number
    of places that TONE_RULES check; 0 for a form that is not regulated.
    """

    lines: list[str]
    readings: list[list[frozenset[Reading]]]
    tones: list[LineTones]
    rhymes: dict[int, Reading | None]
    licences: dict[int, Licence]
    checks: int
    faults: list[Fault]

    @property
    def rhyme_words(self) -> dict[int, Reading]:
        """The lines whose end has the rhyme, by number, with that reading."""
        found = ((n, each) for n, each in self.rhymes.items() if each)
        return {n: each for n, each in found if each in self.readings[n - 1][-1]}

    @property
    def rhyme_names(self) -> str:
        """The names of the rhymes, for a reader; empty if no line rhymes."""
        names = dict.fromkeys(rhyme_name(each) for each in self.rhymes.values() if each)
        return shown("、".join(names))


def general_faults(lines: Sequence[str]) -> list[Fault]:
    """Other characters than Chinese ones, and what is repeated."""
    return [*_strange_characters(lines), *_repeated_lines(lines), *_repeated_characters(lines)]


def is_chinese(line: str) -> bool:
    """Whether a line has Chinese characters alone."""
    return not any(_strange_characters([line]))


def different_characters(lines: Sequence[str]) -> float:
    """Share of a poem's characters that are different, 0 to 1; 0 without lines."""
    characters = "".join(lines)
    return len(set(characters)) / len(characters) if characters else 0.0


def _strange_characters(lines: Sequence[str]) -> Iterator[Fault]:
    for number, line in enumerate(lines, 1):
        for at, character in enumerate(line, 1):
            if not _CHINESE.match(character):
                yield Fault(Rule.CHARACTER, number, at, "", character)


def _repeated_lines(lines: Sequence[str]) -> Iterator[Fault]:
    first: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        earlier = first.setdefault(line, number)
        if earlier < number:
            yield Fault(Rule.REPEATED_LINE, number, 0, "", str(earlier))


def _repeated_characters(poem: Sequence[str]) -> Iterator[Fault]:
    # A repeated line repeats its characters too, but counts as one fault.
    lines = list(dict.fromkeys(poem))
    if lines and different_characters(lines) < LEAST_DIFFERENT:
        counts = Counter("".join(lines))
        repeated = "".join(each for each, count in counts.most_common() if count > 1)
        yield Fault(Rule.REPEATED_CHARACTERS, 0, 0, "", repeated)
