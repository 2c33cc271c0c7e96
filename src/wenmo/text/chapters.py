"""Chapters of a Chinese book, found by their headings.

A heading is a line of its own: 第十二回 …, 卷三 …, 楔子, 番外一 …, 【第三章 …】, Chapter 12.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_NUMERAL = r"[〇零○一二三四五六七八九十百千万两壹贰貳叁參肆伍陆陸柒捌玖拾佰廿卅—\d０-９]{1,9}"
_TITLE = r"[^。！？!?；;…”」\n]{0,40}"
# A title after a separator may cry or ask: 第十二章 杀！
_PARTED_TITLE = r"[^。；;”」\n]{0,40}"
_SEPARATOR = r"[\s：:、·．.—\-]"
_CHAPTER = rf"第\s?{_NUMERAL}\s?[章话話折幕](?:{_SEPARATOR}{_PARTED_TITLE}|{_TITLE})"
# These words are common in prose, too (第一回见她), so that a title needs a separator.
_PART = rf"第\s?{_NUMERAL}\s?[回节節卷集部篇](?:{_SEPARATOR}{_PARTED_TITLE})?"
_VOLUME = rf"卷{_NUMERAL}(?:{_SEPARATOR}{_TITLE})?"
_NAMED = (
    r"(?:楔子|序章|序[言幕]?|前言|引[子言]|终章|終章|尾声|后记|跋|附录"
    rf"|(?:番外|外传|外傳)篇?(?:{_NUMERAL})?)(?:[\s：:]{_TITLE})?"
)
_NUMBERED = r"[一二三四五六七八九十百]{1,4}\s[^，。、：；？！“”…\n]{1,20}"
_ENGLISH = (
    r"(?i:chapter|part|volume)\s(?:\d{1,4}|[IVXLC]{1,7})(?:[\s:：.]{1,2}[^。！？!?\n]{1,40})?"
)
_PLAIN = rf"(?:(?:正文卷?\s*)?(?:{_CHAPTER}|{_PART})|{_VOLUME}|{_NAMED}|{_ENGLISH})"
_DECORATED = rf"【\s*{_PLAIN}\s*】|[=＝☆★◆#＃*＊]+、?\s*{_PLAIN}\s*[=＝☆★◆#＃*＊]*"
_HEADING = re.compile(rf"{_PLAIN}|{_DECORATED}|{_NUMBERED}")


def is_heading(line: str) -> bool:
    """Whether a line of its own is the heading of a chapter, a part or a volume."""
    return _HEADING.fullmatch(line) is not None


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
