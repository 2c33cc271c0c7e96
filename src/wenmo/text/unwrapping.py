"""Paragraphs of a book whose lines a program broke at one width, as e-mail and old readers did.

Whether a book is wrapped is decided once for the book: few lines are longer than some width, many
end at it in the midst of a sentence, and shorter lines end with a sentence.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise

from wenmo.text.chapters import is_heading

LONGER_LINES = 0.01
"""Greatest share of lines that are longer than the width: lines that someone added."""

SLACK = 4
"""A full line may be so many columns shorter: punctuation that begins no line, indentation."""

NARROWEST = 24
"""Columns. Lines of verse are shorter: a couplet of 5 characters each has 24 with its marks."""

LEAST_FULL_LINES = 10
LEAST_SHARE_OF_FULL_LINES = 0.1
"""In a book of short paragraphs most lines end before the width."""

LEAST_SHARE_OF_ENDS = 0.6
"""Of the lines before the width those that end with a sentence. In verse most do not."""

HALF = 0.5
MARKS_PARAGRAPHS = 0.8
"""Share of paragraphs that are indented, or stand after a blank line, where this marks them."""

_CLOSED = re.compile(r"[。！？!?…”’」』）)】》\"'.．:：;；—～~〞＂﹂]\s*\Z")
# What is not broken: a Latin word with the space before it, a character with its points.
_PIECE = re.compile(r"(?:[!-~]+|.)[，。、；：！？…”’」』）》]*")
_OPENING_QUOTES = tuple('“"「『〝＂﹁')
_CLOSING_QUOTES = tuple('”"」』〞＂﹂')


def columns(line: str) -> int:
    """The width of a line in columns of a Chinese terminal: GBK has two bytes for two columns."""
    return len(line.encode("gbk", errors="replace"))


@dataclass(frozen=True)
class Wrapping:
    """How a book's lines are broken.

    `full` are the widths, by `measure`, at which a line ends because it is full, up to `longest`.
    """

    measure: Callable[[str], int]
    full: frozenset[int]
    longest: int

    def has_room(self, line: str, following: str) -> bool:
        """Whether the first piece of what follows would have fit into the line."""
        piece = _PIECE.match(following)
        return self.measure(line) + self.measure(piece[0] if piece else "") <= self.longest


def wrapping(text: str) -> Wrapping | None:
    """How the lines of a book are wrapped; None if they are not.

    Programs count columns or characters; what more lines fill is taken.
    """
    lines = [line for line in text.split("\n") if line.strip()]
    closed = [bool(_CLOSED.search(line)) for line in lines]
    found: Wrapping | None = None
    most = max(LEAST_FULL_LINES, LEAST_SHARE_OF_FULL_LINES * len(lines)) - 1
    for measure in (columns, len):
        widths = [measure(line) for line in lines]
        longest = sorted(widths, reverse=True)[int(LONGER_LINES * len(lines))] if lines else 0
        counts = Counter(widths)
        ends = Counter(width for width, ended in zip(widths, closed, strict=True) if ended)
        near = range(longest - SLACK, longest + SLACK + 1)
        full = frozenset(width for width in near if ends[width] * 2 < counts[width])
        filled = sum(counts[width] for width in full)
        before = [ended for width, ended in zip(widths, closed, strict=True) if width not in full]
        by_columns = longest if measure is columns else 2 * longest
        if (
            filled > most
            and by_columns >= NARROWEST
            and sum(before) >= LEAST_SHARE_OF_ENDS * len(before)
        ):
            found, most = Wrapping(measure, full, longest), filled
    return found


def unwrapped(text: str, found: Wrapping) -> str:
    """The text with a line per paragraph, by how its lines were wrapped.

    Chinese is joined without a space, Latin words with one. A full line that ends with a sentence
    may be a paragraph's last one. Indentation or a blank line tells it where the book has them;
    else it is joined, since most are not, but for one speech after another.
    """
    return "\n".join(_paragraphs(text.split("\n"), found))


@dataclass(frozen=True)
class _Break:
    """The end of a line, and how the next one follows."""

    is_full: bool
    has_room: bool
    is_closed: bool
    is_heading: bool
    is_answer: bool
    indented: bool
    blank: bool


def _paragraphs(lines: list[str], found: Wrapping) -> list[str]:
    filled = [(at, line) for at, line in enumerate(lines) if line.strip()]
    usual = Counter(width for _, line in filled if (width := _indentation(line)))
    indentation = max(usual, key=lambda width: usual[width], default=1)
    breaks = [
        _Break(
            is_full=found.measure(line) in found.full,
            has_room=found.has_room(line, following.lstrip()),
            is_closed=bool(_CLOSED.search(line)),
            is_heading=is_heading(line.strip()) or is_heading(following.strip()),
            is_answer=line.rstrip().endswith(_CLOSING_QUOTES)
            and following.lstrip().startswith(_OPENING_QUOTES),
            indented=_indentation(following) >= indentation,
            blank=after > at + 1,
        )
        for (at, line), (after, following) in pairwise(filled)
    ]
    joined = [filled[0][1]]
    for (_, line), continues in zip(filled[1:], _continue(breaks), strict=True):
        if continues:
            joined[-1] = _joined(joined[-1], line)
        else:
            joined.append(line)
    return joined


def _continue(breaks: list[_Break]) -> list[bool]:
    """For each end of a line whether its paragraph goes on, by what marks paragraphs here."""
    within = [each for each in breaks if not each.has_room and not each.is_closed]
    between = [each for each in breaks if each.has_room and each.is_closed]
    by_indent = _share(each.indented for each in within) < HALF
    by_blank = _share(each.blank for each in within) < HALF
    marked = (by_indent and _share(each.indented for each in between) >= MARKS_PARAGRAPHS) or (
        by_blank and _share(each.blank for each in between) >= MARKS_PARAGRAPHS
    )
    return [
        (each.is_full or (not each.has_room and (marked or not each.is_closed)))
        and not each.is_heading
        and not (by_indent and each.indented)
        and not (by_blank and each.blank)
        and (marked or not (each.is_closed and each.is_answer))
        for each in breaks
    ]


def _indentation(line: str) -> int:
    """In columns: a paragraph begins with two spaces of Chinese or four others."""
    return columns(line[: len(line) - len(line.lstrip())])


def _share(found: Iterable[bool]) -> float:
    values = list(found)
    return sum(values) / len(values) if values else 0.0


def _joined(line: str, following: str) -> str:
    """Two parts of a line that was broken."""
    last, first = line[-1], following[0]
    words = last.isascii() and first.isascii() and not (last.isdigit() and first.isdigit())
    return f"{line} {following}" if words else line + following
