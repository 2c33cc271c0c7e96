"""Cleaning of raw texts: one normal form, and only the text itself.

Web copies carry mark-up, adverts, notes by authors or editors, and lines of ornament. These are
taken out and returned by reason, so that every character is either kept or accounted for. Brackets
and quotes of the text stay.
"""

import html
import re
import unicodedata
from dataclasses import dataclass, field
from functools import cache

import opencc

from wenmo.text.chapters import is_heading
from wenmo.text.characters import without_space


@dataclass(frozen=True)
class Rejected:
    """A piece that was left out, and the reason."""

    reason: str
    text: str


@dataclass
class Cleaned:
    """A cleaned text, and the pieces that were taken out of it.

    `characters_read` are those of the text's normal form, white space left out.
    """

    text: str
    characters_read: int
    rejected: list[Rejected] = field(default_factory=list)


_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]+"
)
_LINE_TAG = re.compile(r"</?(?:br|p|div|li|tr|h[1-6])\b[^<>\n]{0,200}>", re.IGNORECASE)
_TAG = re.compile(r"</?[a-zA-Z!][^<>\n]{0,200}>|<!--.{0,2000}?-->", re.DOTALL)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z]{2,8}\d{0,2});")
_NOTE_MARK = re.compile(r"[①-⑳]")
_BLANK = re.compile(r"[^\S\n]+")

_SEPARATOR = re.compile(r"[\s*＊\-－—─━=＝~～_＿#＃※☆★◆◇●○■□→·．.•|｜+＋]{2,}")
_SITE_LINE = re.compile(
    r"(?:上一[章页]|下一[章页]|返回(?:目录|书页|首页)|(?:加入|添加)?书签|章节目录|目录|投?推荐票|\s|[|｜])+"
    r"|[ -~\s]*[A-Za-z]{3}[ -~\s]*"
)
_ADVERT = re.compile(
    r"(?:https?://|[wｗ]{3}\s*[.．。]|\.(?:com|net|org|cn|cc|info)\b"
    r"|手机(?:阅读|用户请)|(?:最新|全部)章节|全文(?:阅读|免费)|免费(?:阅读|小说)|无弹窗|小说网"
    r"|(?:txt|TXT|电子书)\s*下载|请(?:收藏|记住)本站|求(?:推荐票|月票|收藏|订阅)|本书(?:首发|来自))",
    re.IGNORECASE,
)
# What an author adds to a heading: 第三章 雪（求月票）.
_BEGGING = re.compile(r"[（(【\[][^（(【\[]{0,10}[求谢更][^（(【\[]{0,20}[）)】\]]$")
_SENTENCE = re.compile(r"[^。！？!?]*[。！？!?]*[”’」』）】]*")
_NOTE = re.compile(
    r"[（(【\[〔]?\s*(?:"
    r"(?:作者|笔者|编者|译者)(?:君)?(?:的话|有话(?:要)?说|注|按|附言)\s*(?:[：:].*)?"
    r"|(?:注|注释|注解|译注|[Pp]\.?[Ss]\.?)\s*[：:].*"
    r"|(?:全[书文]|本[章书回卷])\s*(?:完|终)"
    r"|未完待续.{0,8}|[（(]?完[）)]?"
    r")\s*[）)】\]〕]?[。.]?"
    r"|[①-⑳].*"
)

# Lines that are left out whole: reason, pattern, and greatest length in characters.
_NO_TEXT = (
    ("separator", _SEPARATOR, 200),
    ("site", _SITE_LINE, 200),
    ("note", _NOTE, 1000),
)


def clean(text: str, to_simplified: bool = False) -> Cleaned:
    """The text in normal form, one paragraph per line, without anything that is not the text.

    Runs of white space, full-width spaces included, become one space, and none is left at the ends
    of a line. Straight quotes become curly ones. See `normal_form` for `to_simplified`.
    """
    text = normal_form(text, to_simplified)
    cleaned = Cleaned(text, len(without_space(text)))
    if "<" in cleaned.text or "&" in cleaned.text:
        _take_out(cleaned, "mark-up", _LINE_TAG, "\n")
        _take_out(cleaned, "mark-up", _TAG)
        _unescape(cleaned)
    _take_out(cleaned, "invisible", _INVISIBLE)
    lines = []
    for line in cleaned.text.split("\n"):
        kept = _kept_part(_curly_quotes(_BLANK.sub(" ", line).strip()), cleaned.rejected)
        if kept:
            lines.append(kept)
    cleaned.text = "\n".join(lines)
    return cleaned


def normal_form(text: str, to_simplified: bool = False) -> str:
    """Unicode NFC with LF. With `to_simplified`, opencc (t2s) converts traditional characters."""
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))
    return _simplifier().convert(text) if to_simplified else text


@cache
def _simplifier() -> opencc.OpenCC:
    return opencc.OpenCC("t2s")


def _take_out(cleaned: Cleaned, reason: str, pattern: re.Pattern[str], instead: str = "") -> None:
    def reject(match: re.Match[str]) -> str:
        cleaned.rejected.append(Rejected(reason, match[0]))
        return instead

    cleaned.text = pattern.sub(reject, cleaned.text)


def _unescape(cleaned: Cleaned) -> None:
    """Replace entities by their characters; the rest of their spelling counts as mark-up."""

    def character(match: re.Match[str]) -> str:
        meant = html.unescape(match[0])
        if meant == match[0]:
            return meant
        # Rejected are as many characters of the spelling as the text loses by the replacement.
        spelling = match[0][: len(match[0]) - len(without_space(meant))]
        cleaned.rejected.append(Rejected("mark-up", spelling))
        return meant

    cleaned.text = _ENTITY.sub(character, cleaned.text)


def _curly_quotes(line: str) -> str:
    """The line with curly quotes: a straight one closes if a quote is open in the line."""
    if '"' not in line:
        return line
    is_open, characters = False, []
    for character in line:
        if character == '"':
            character = "”" if is_open else "“"
        if character in "“”":
            is_open = character == "“"
        characters.append(character)
    return "".join(characters)


def _kept_part(line: str, rejected: list[Rejected]) -> str:
    """The line without what is not text, which goes to `rejected`; empty if nothing is left."""
    begging = _BEGGING.search(line)
    title = line[: begging.start()].rstrip() if begging else line
    if begging and is_heading(title):
        rejected.append(Rejected("advert", begging[0]))
        return title
    if line.isascii() and is_heading(line):
        return line
    for reason, pattern, longest in _NO_TEXT:
        if len(line) <= longest and pattern.fullmatch(line):
            rejected.append(Rejected(reason, line))
            return ""
    marks = _NOTE_MARK.findall(line)
    if marks:
        rejected.append(Rejected("note mark", "".join(marks)))
        line = _BLANK.sub(" ", _NOTE_MARK.sub("", line)).strip()
    if not _ADVERT.search(line):
        return line
    kept = []
    for sentence in _SENTENCE.findall(line):
        if _ADVERT.search(sentence):
            rejected.append(Rejected("advert", sentence))
        else:
            kept.append(sentence)
    return "".join(kept).strip()
