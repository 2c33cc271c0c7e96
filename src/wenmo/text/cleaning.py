"""Cleaning of raw texts: one normal form, and only the text itself.

Web copies carry mark-up, adverts, notes by authors or editors, and lines of ornament. These are
taken out and returned by reason, so that every character is either kept or accounted for. Brackets
and quotes of the text stay.
"""

import re
import unicodedata
from dataclasses import dataclass, field
from functools import cache

import opencc

from wenmo.text.chapters import is_heading
from wenmo.text.characters import without_space
from wenmo.text.mark_up import without_mark_up
from wenmo.text.noise import (
    NUMBERED,
    noise_line,
    parted_footnote,
    sentences_with_adverts,
    without_plea,
)
from wenmo.text.quotes import StraightQuotes, usual_quotes
from wenmo.text.unwrapping import Wrapping, unwrapped, wrapping


@dataclass(frozen=True)
class Rejected:
    """A piece that was left out, and the reason."""

    reason: str
    text: str


@dataclass
class Cleaned:
    """A cleaned text, and the pieces that were taken out of it.

    `characters_read` are those of the text's normal form, white space left out. `wrapping` is how
    the lines were wrapped that have been joined.
    """

    text: str
    characters_read: int
    rejected: list[Rejected] = field(default_factory=list)
    wrapping: Wrapping | None = None


# What ends a line or a paragraph by Unicode: https://www.unicode.org/reports/tr14/#BK
_LINE_ENDS = re.compile("\r\n|[\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
# Controls, marks of direction, selectors of a shape, fillers, blanks that are no white space, and
# the reading of a word between U+FFFA and U+FFFB.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f\xad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9\ufffb"
    "\U000e0000-\U000e0fff]|\ufffa[^\ufffb\n]{0,30}"
)
_BLANK = re.compile(r"[^\S\n]+")
_NOTE_MARK = re.compile(rf"[①-⑳](?!{NUMBERED})")

_STOP = re.compile(r"(?<=[^\x00-\x7f．０-９Ａ-Ｚａ-ｚ])[.．](?![.．0-9A-Za-z０-９Ａ-Ｚａ-ｚ])")
_LAST_STOP = re.compile(r"(?<=[0-9A-Za-z０-９Ａ-Ｚａ-ｚ])[.．](?=[\"'”’」』＂]|\s*$)")


def clean(text: str, to_simplified: bool = False, unwrap: bool = False) -> Cleaned:
    """The text in normal form, one paragraph per line, without anything that is not the text.

    Runs of white space, full-width spaces included, become one space, and none is left at the ends
    of a line. Straight quotes become curly ones. `unwrap` joins the lines of a book that is wrapped
    at one width, which verse must not be. See `normal_form` for `to_simplified`.
    """
    text = normal_form(text, to_simplified)
    cleaned = Cleaned(text, len(without_space(text)))
    _take_out_invisible(cleaned)
    cleaned.text, mark_up = without_mark_up(cleaned.text)
    cleaned.rejected += [Rejected("mark-up", piece) for piece in mark_up]
    if mark_up:
        # An entity may stand for what is not seen or ends a line.
        cleaned.text = normal_form(cleaned.text)
        _take_out_invisible(cleaned)
    text = usual_quotes(cleaned.text)
    if unwrap and (found := wrapping(text)):
        text, cleaned.wrapping = unwrapped(text, found), found
    lines, quotes = [], StraightQuotes()
    for line in _with_stops(text).split("\n"):
        line = _BLANK.sub(" ", line).strip()
        if is_heading(line):
            quotes.close_all()
        kept = _kept_part(quotes.curly(line), cleaned.rejected)
        if kept:
            lines.append(kept)
    cleaned.text = "\n".join(lines)
    return cleaned


def normal_form(text: str, to_simplified: bool = False) -> str:
    """Unicode NFC with LF. With `to_simplified`, opencc (t2s) converts traditional characters."""
    text = unicodedata.normalize("NFC", _LINE_ENDS.sub("\n", text))
    return _simplifier().convert(text) if to_simplified else text


@cache
def _simplifier() -> opencc.OpenCC:
    return opencc.OpenCC("t2s")


def _take_out_invisible(cleaned: Cleaned) -> None:
    def reject(match: re.Match[str]) -> str:
        cleaned.rejected.append(Rejected("invisible", match[0]))
        return ""

    cleaned.text = _INVISIBLE.sub(reject, cleaned.text)


def _with_stops(text: str) -> str:
    """The text with 。 for the full stops of another shape.

    A point after Chinese is one in a text that has more such points than 。; in others it parts a
    foreign name, as in 约翰．克利斯朵夫. Points in numbers, Latin abbreviations and headings stay.
    """
    text = text.replace("｡", "。")
    if not ("." in text or "．" in text) or text.count("。") >= len(_STOP.findall(text)):
        return text
    return "\n".join(
        line if is_heading(line.strip()) else _LAST_STOP.sub("。", _STOP.sub("。", line))
        for line in text.split("\n")
    )


def _kept_part(line: str, rejected: list[Rejected]) -> str:
    """The line without what is not text, which goes to `rejected`; empty if nothing is left."""
    title, plea = without_plea(line)
    if plea:
        rejected.append(Rejected("advert", plea))
        return title
    footnote, line = parted_footnote(line)
    while footnote:
        rejected.append(Rejected("note", footnote))
        footnote, line = parted_footnote(line)
    reason = noise_line(line)
    if reason:
        rejected.append(Rejected(reason, line))
        return ""
    marks = _NOTE_MARK.findall(line)
    if marks:
        rejected.append(Rejected("note mark", "".join(marks)))
        line = _BLANK.sub(" ", _NOTE_MARK.sub("", line)).strip()
    kept = []
    for sentence, is_advert in sentences_with_adverts(line):
        if is_advert:
            rejected.append(Rejected("advert", sentence))
        else:
            kept.append(sentence)
    return "".join(kept).strip()
