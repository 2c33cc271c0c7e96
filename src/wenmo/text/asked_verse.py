"""The poem that is asked for: its form or tune, its first line, and the rules that it must keep."""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from wenmo.core.language import gettext
from wenmo.text.faults import LEAST_DIFFERENT, is_chinese
from wenmo.text.patterns import (
    EITHER,
    Line,
    Pattern,
    couplets,
    is_tune,
    pattern_lines,
    rhyme_book,
    tune_pattern,
)
from wenmo.text.prosody import regulated
from wenmo.text.readings import LEVEL, OBLIQUE, Reading, line_readings, rhyme_name, shown, tones
from wenmo.text.verse import form, verse_lines
from wenmo.text.verse_tones import FIXED, OPENINGS, Tones, Ways, line_kind, ways_left

FORMS = {"五言绝句": (4, 5), "七言绝句": (4, 7), "五言律诗": (8, 5), "七言律诗": (8, 7)}
"""The commonest forms by name: lines, and characters per line."""

NUMERALS = "零一二三四五六七八九"
NAMED_LINES = {"绝句": 4, "律诗": 8}
"""The lines of a form in the recent style."""

# How wenmo.tasks.poetry words a request.
_FIRST_LINE = re.compile(r"以“([^”]+)”为首句")
_TUNE = re.compile(r"[填写作]一?[首阕]《?([^《》，。]+)")
_FORM = re.compile(rf"([{NUMERALS}])言(?:(绝句|律诗)|[^。，]{{0,4}}，共(\d+)句)")


def asked_first_line(prompt: str) -> str | None:
    """The first line that a prompt gives, or None."""
    found = _FIRST_LINE.search(prompt)
    return found[1] if found else None


def asked_form(prompt: str, reference: str = "") -> tuple[int, int] | None:
    """(number of lines, characters per line) of the reference, or else as the prompt names it."""
    if reference:
        return form(verse_lines(reference))
    found = _FORM.search(prompt)
    if not found:
        return None
    length, name, count = found.groups()
    return (NAMED_LINES[name] if name else int(count), NUMERALS.index(length))


def asked_tune(prompt: str) -> Pattern:
    """The pattern of the tune that a prompt names; empty if it names none that is known."""
    found = _TUNE.search(prompt)
    return tune_pattern(found[1]) if found else ""


def asked_pattern(prompt: str, reference: str = "") -> Pattern | None:
    """The pattern of the tune that a prompt names, or else of the form; None without either."""
    asked = asked_form(prompt, reference)
    return asked_tune(prompt) or (couplets(*asked) if asked else None)


@dataclass(frozen=True)
class Verse:
    """What is asked of a poem: the lines of a pattern, and how much of the rules.

    An empty `first_line` is the writer's to choose, and so is a `rhyme` of None; one that is given
    is that of the first lines that can have it. `lenient` exempts a given first line from the rules
    of tones, rhyme and repetition, so that only the lines after it keep them.
    """

    rule: Literal["form", "rhyme", "full"]
    pattern: Pattern
    first_line: str = ""
    rhyme: Reading | None = None
    lenient: bool = False

    @cached_property
    def lines(self) -> tuple[Line, ...]:
        """The lines of the pattern."""
        return pattern_lines(self.pattern)

    @cached_property
    def characters(self) -> int:
        """The number of characters without punctuation."""
        return sum(line.length for line in self.lines)

    @cached_property
    def feet(self) -> int:
        """The number of lines that rhyme; 0 if no rhyme is asked for."""
        return sum(bool(line.rhyme) for line in self.lines) if self.rule != "form" else 0

    @cached_property
    def rhyme_tones(self) -> dict[str, set[str]]:
        """The tones of the lines that rhyme, by the letter of their rhyme."""
        letters = dict.fromkeys(line.rhyme for line in self.lines if line.rhyme)
        level = self.has_tones and not self.is_tune
        return {
            letter: {LEVEL} if level else {o.tones[-1] for o in self.lines if o.rhyme == letter}
            for letter in letters
        }

    @cached_property
    def repeats(self) -> int:
        """How many characters may stand in the poem already."""
        if self.rule == "form":
            return self.characters
        numbers = range(self.characters)
        most = next(each for each in numbers if _too_few(each + 1, self.characters))
        return max(most, self._first_repeats) if self.lenient else most

    @cached_property
    def _first_repeats(self) -> int:
        """The repetitions in the given first line."""
        return len(self.first_line) - len(set(self.first_line))

    @cached_property
    def feet_may_repeat(self) -> bool:
        """Whether every rhyme word may stand in the poem already."""
        return self._first_repeats + self.feet <= self.repeats

    @cached_property
    def least_words(self) -> int:
        """How many words a rhyme must have, so that one is left for every foot."""
        return self.feet if self.feet_may_repeat else self.characters

    @cached_property
    def is_tune(self) -> bool:
        """Whether the pattern is a tune's, which has tones and rhymes of its own."""
        return is_tune(self.pattern)

    @cached_property
    def has_tones(self) -> bool:
        """Whether rules of tones are asked for."""
        return self.rule == "full" and (self.is_tune or regulated([o.tones for o in self.lines]))

    def kind(self, line: int) -> int:
        """The kind of a line by which its tones are judged (`wenmo.text.verse_tones`)."""
        return FIXED if self.is_tune else line_kind(line)

    def ways(self, line: int) -> Ways:
        """The ways of a first line, or of any line of a tune."""
        return frozenset({(self.lines[line].tones, False)}) if self.is_tune else OPENINGS

    @cached_property
    def first_tones(self) -> Tones:
        """The tones of the given first line."""
        return tuple(map(tones, line_readings(self.first_line))) if self.first_line else ()

    @cached_property
    def first_foot(self) -> frozenset[Reading]:
        """The readings of the given first line's last character."""
        return line_readings(self.first_line, rhyme_book(self.pattern))[-1]

    def fault(self) -> str:
        """Why no writer can give such a poem, or an empty string."""
        first = self.first_line
        if not self.lines:
            return gettext("a poem has lines, and a line has characters")
        length = self.lines[0].length
        if first and (len(first) != length or not is_chinese(first)):
            return gettext(
                "the first line {line!r} is not of {length} Chinese characters",
                line=first,
                length=length,
            )
        if self.rhyme and self.feet and not self.letter_of_rhyme:
            rhyme = shown(rhyme_name(self.rhyme))
            if self.is_tune:
                return gettext("the tune has no rhyme such as {rhyme}", rhyme=rhyme)
            return gettext("{rhyme} is oblique, and regulated verse has level rhymes", rhyme=rhyme)
        if self.breaks_rules():
            return gettext(
                "the first line {line!r} breaks the rules of tones, rhyme or repetition itself",
                line=first,
            )
        return ""

    @cached_property
    def letter_of_rhyme(self) -> str:
        """The letter of the first lines that can have the given rhyme; empty if none can."""
        if not self.rhyme:
            return ""
        wanted = tones(frozenset({self.rhyme})) if self.rhyme[1] else frozenset({LEVEL, OBLIQUE})
        return next((x for x, own in self.rhyme_tones.items() if own & {*wanted, EITHER}), "")

    def breaks_rules(self) -> bool:
        """Whether the given first line has faults by itself, and is not exempt."""
        if self.lenient or not self.lines or len(self.first_line) != self.lines[0].length:
            return False
        if self._first_repeats > self.repeats:
            return True
        if self.feet and self.lines[0].rhyme and not self.lines[0].rhymes(self.first_foot):
            return True
        if not self.has_tones:
            return False
        length = self.lines[0].length
        return not ways_left(self.first_tones, self.ways(0), length, self.kind(0))


def _too_few(repeats: int, characters: int) -> bool:
    """Whether too few of a poem's characters are different, as `wenmo.text.prosody` counts."""
    return (characters - repeats) / characters < LEAST_DIFFERENT
