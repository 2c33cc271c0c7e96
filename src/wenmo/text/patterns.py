"""The patterns of verse: its lines and rhymes, and the tones of a tune (詞牌).

A pattern is written as the books of tunes (詞譜) are: a tone for each character, 平, 仄 or 中 for
either; a letter behind a line that rhymes, the same one for all that rhyme together; the mark that
ends the line; and a line break at the end of each row of the text, which is a couplet or a stanza.
Regulated verse has 中 alone, since its tones follow from the lines before (`wenmo.text.prosody`).
"""

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

from wenmo.text.cleaning import normal_form
from wenmo.text.readings import Reading, RhymeBook, pingshui
from wenmo.text.tune_rhymes import tune_rhyme
from wenmo.text.verse import marked_lines, verse_lines

Pattern = str

ODD_MARKS, EVEN_MARKS, LAST_MARKS = "，；？！", "。；？！", "。？！"
EITHER = "中"
TUNES_FILE = Path(__file__).parent / "data/tunes.txt"
"""The commonest tunes, as `python -m bench.tunes` induces them from poems."""

_LINE = re.compile(f"([平仄{EITHER}]+)([a-z]?)([，。])(\n?)")
_LETTER = re.compile("[a-z]")
_OTHER_NAMES = re.compile("[·・]")
_CAESURA = "、"


class Line(NamedTuple):
    """A line of a pattern: its tones, its rhyme's letter or "", the marks that may end it."""

    tones: str
    rhyme: str
    marks: str
    ends_row: bool

    @property
    def length(self) -> int:
        """The number of characters."""
        return len(self.tones)

    def rhymes(self, readings: frozenset[Reading]) -> frozenset[Reading]:
        """What the word at the end must share with others to rhyme, by its readings.

        Those are the readings themselves. A tune asks for a tone of its own at each line's end, and
        what is shared there is the group alone, with an empty tone.
        """
        tone = self.tones[-1]
        if tone == EITHER:
            return readings
        return frozenset((group, "") for group, own in readings if own == tone)

    def readings(self, rhymes: frozenset[Reading]) -> frozenset[Reading]:
        """The readings that have one of the rhymes at this line's end."""
        tone = self.tones[-1]
        return rhymes if tone == EITHER else frozenset((group, tone) for group, _ in rhymes)


@cache
def pattern_lines(pattern: Pattern) -> tuple[Line, ...]:
    """The lines of a pattern."""
    found = _LINE.findall(pattern)
    last = len(found) - 1
    return tuple(
        Line(tones, rhyme, _marks(mark, at == last), bool(end))
        for at, (tones, rhyme, mark, end) in enumerate(found)
    )


def couplets(lines: int, length: int) -> Pattern:
    """The pattern of so many lines of so many characters, two on a row, whose even ones rhyme."""
    rhyme = "a" if lines >= 4 else ""
    rows = [
        EITHER * length + ("，" + EITHER * length + rhyme if at + 1 < lines else "") + "。"
        for at in range(0, lines, 2)
    ]
    return "\n".join(rows)


@cache
def tunes() -> dict[str, Pattern]:
    """The patterns of tunes by name, the commonest first."""
    paragraphs = TUNES_FILE.read_text(encoding="utf-8").strip().split("\n\n")
    named = (each.partition("\n") for each in paragraphs if not each.startswith("#"))
    return {name: pattern for name, _, pattern in named}


def tune_pattern(name: str) -> Pattern:
    """The pattern of a tune by any of its names, as in 酹江月・念奴娇; empty if none is known."""
    names = _OTHER_NAMES.split(normal_form(name, to_simplified=True))
    return next((tunes()[each] for each in names if each in tunes()), "")


def without_letters(pattern: Pattern) -> str:
    """A pattern's tones, marks and line breaks, a character for each of the text's."""
    return _LETTER.sub("", pattern)


def is_tune(pattern: Pattern) -> bool:
    """Whether a pattern is a tune's."""
    return "平" in pattern or "仄" in pattern


def rhyme_book(pattern: Pattern) -> RhymeBook:
    """The rhymes that a pattern goes by: tunes have wider ones."""
    return tune_rhyme if is_tune(pattern) else pingshui


def tune_rows(text: str) -> list[list[str]]:
    """The verse lines of a text to a tune, row by row. A caesura (、) does not end a line there."""
    rows = (verse_lines(row.replace(_CAESURA, "")) for row in text.split("\n"))
    return [row for row in rows if row]


def tune_lines(text: str) -> list[str]:
    """The verse lines of a text to a tune."""
    return [line for row in tune_rows(text) for line in row]


def lines_of_poem(text: str, tune: str) -> list[str]:
    """The verse lines of a poem, parted as those of tunes are if it is to one (else: empty)."""
    return tune_lines(text) if tune else verse_lines(text)


def of_pattern(lines: list[str], pattern: Pattern) -> bool:
    """Whether lines are as many, and of as many characters, as a pattern's."""
    return [*map(len, lines)] == [line.length for line in pattern_lines(pattern)]


def has_pattern(text: str, pattern: Pattern) -> bool:
    """Whether a text has a tune's stanzas, a row each, and their lines of so many characters."""
    rows, wanted = tune_rows(text), pattern.split("\n")
    return len(rows) == len(wanted) and all(map(of_pattern, rows, wanted))


def with_marks(text: str, pattern: Pattern) -> str:
    """A text of a pattern's lines with its rows, and with its marks where the text has none."""
    lines, poem = iter(pattern_lines(pattern)), ""
    for verse, mark in marked_lines(text):
        if is_tune(pattern) and mark == _CAESURA:
            poem += verse + mark
        else:
            line = next(lines)
            poem += verse + (mark or line.marks[0]) + "\n" * line.ends_row
    return poem


def _marks(mark: str, last: bool) -> str:
    return LAST_MARKS if last else EVEN_MARKS if mark == "。" else ODD_MARKS
