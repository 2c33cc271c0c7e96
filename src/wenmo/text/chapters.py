"""Chapters of a Chinese book, found by their headings.

A heading is a line of its own: 第十二回 …, 卷三 …, 楔子, 番外一 …, 【第三章 …】, Chapter 12.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_NUMERAL = r"[〇零○一二三四五六七八九十百千万两壹贰貳叁參参肆伍陆陸柒捌玖拾佰廿卅卌—\d０-９]{1,9}"
_SEPARATOR = r"[\s：:、·．.—\-]"
# A title after a separator may cry, ask or speak: 第十二章 杀！
_PARTED_TITLE = r"[^。\n]{0,40}"
_TITLE = r"[^。！？!?；;…”」\n]{0,40}"
# A title without one is short. It has a comma only as a couplet (张三丰大闹少林，李四海夜走长安).
# It begins with no word that makes the chapter a subject (第三章的内容), nor with one that makes
# another word of 章 (章程, 章鱼).
_GOES_ON = (
    r"(?:的(?!士)|里(?!应)|中的|写得|写的|讲的|说的|是.{4}|[和与跟]第|到这里|没有|已经|结束|[程法节鱼印]"
    rf"|.*第{_NUMERAL}[章回])"
)
_COUPLET = r"(?:[^\s，。！？!?；;…”」]{{{n}}}，[^\s，。！？!?；;…”」]{{{n}}})"
_COUPLETS = "|".join(_COUPLET.format(n=n) for n in range(4, 11))
_JOINED_TITLE = rf"(?!{_GOES_ON})(?:[^，,。！？!?；;…”」\n]{{0,20}}|{_COUPLETS})"
_CHAPTER = rf"第\s?{_NUMERAL}\s?[章话話](?:{_SEPARATOR}{_PARTED_TITLE}|{_JOINED_TITLE})"
# These words are common in prose, too (第一回见她), so that a title needs a separator.
_PART = rf"第\s?{_NUMERAL}\s?[回节節卷集部篇折幕](?:{_SEPARATOR}{_PARTED_TITLE})?"
_VOLUME = rf"(?:卷之?{_NUMERAL}|卷[上中下]|[上中下][卷部篇])(?:{_SEPARATOR}{_TITLE})?"
_HALF = r"[（(][上中下终完一二三四五\d]{1,2}[）)]"
_NAMED = (
    r"(?:楔子|序章|[自代]?序|序[言幕]|前言|引[子言]|终章|終章|最[终終]章|大[结結]局|尾[声聲]|[后後][记記]"
    r"|跋|[间間]章|幕[间間]"
    rf"|(?:番外|外传|外傳|特别篇|特別篇|附录|附錄)篇?(?:{_NUMERAL})?)"
    rf"(?:{_HALF}|[\s：:·之]{_TITLE})?"
)
_NUMBERED = r"[一二三四五六七八九十百]{1,4}\s[^，。、：；？！“”…\n]{1,20}"
_ENGLISH = (
    r"(?:(?i:(?:chapter|part|volume|vol\.?)\s*(?:\d{1,4}|[IVXLC]{1,7}|one|two|three|four|five|six"
    r"|seven|eight|nine|ten|eleven|twelve|\w{3,5}teen))|(?i:prologue|epilogue))"
    r"(?:\s*[:：.\-–—]\s*[^。！？!?\n]{0,40}|\s[A-Z\u4e00-\u9fff][^。！？!?.\n]{0,40})?"
)
_BOOK_PART = r"(?:(?:正文|VIP|vip)卷?|作品相关)?\s*"
_PLAIN = rf"(?:{_BOOK_PART}(?:{_CHAPTER}|{_PART})|{_VOLUME}|{_NAMED}|{_ENGLISH})"
_ORNAMENT = "=＝☆★◆◇●○■□▲△#＃*＊"
_DECORATED = (
    rf"[【〖〔「《（(\[]\s*{_PLAIN}\s*[】〗〕」》）)\]]"
    rf"|[{_ORNAMENT}]+、?\s*{_PLAIN}\s*[{_ORNAMENT}]*|-{{2,}}\s*{_PLAIN}\s*-{{2,}}"
)
_HEADING = re.compile(rf"{_PLAIN}|{_DECORATED}|{_NUMBERED}")
LONGEST = 120
"""Characters of a heading. Prose is told from one the faster."""


def is_heading(line: str) -> bool:
    """Whether a line of its own is the heading of a chapter, a part or a volume."""
    return len(line) <= LONGEST and _HEADING.fullmatch(line) is not None


@dataclass(frozen=True)
class Chapter:
    """A heading line, empty before the first heading, and the text up to the next heading."""

    heading: str
    text: str


def chapters(text: str) -> Iterator[Chapter]:
    """The chapters of a clean text. Their headings and texts hold all its lines in order."""
    heading = ""
    lines: list[str] = []
    for line in text.split("\n"):
        if is_heading(line):
            if heading or lines:
                yield Chapter(heading, "\n".join(lines))
            heading, lines = line, []
        else:
            lines.append(line)
    if heading or lines:
        yield Chapter(heading, "\n".join(lines))
