"""Chapters of a Chinese book, found by their headings.

A heading is a line of its own without an end of sentence: 第十二回 …, 卷三 …, 楔子, 二十一　….
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_NUMERAL = r"[〇零○一二三四五六七八九十百千万两壹贰叁肆伍陆柒捌玖拾佰廿卅—\d０-９]{1,9}"
_TITLE = r"[^。！？!?；;…”」\n]{0,40}"
_HEADING = re.compile(
    rf"(?:正文\s*)?第{_NUMERAL}[章回节卷集部篇折幕]{_TITLE}"
    rf"|卷{_NUMERAL}(?:\s{_TITLE})?"
    rf"|(?:楔子|序章|序[言幕]?|前言|引[子言]|尾声|后记|跋|番外|附录)(?:[\s：:]{_TITLE})?"
    rf"|[一二三四五六七八九十百]{{1,4}}\s[^，。、：；？！“”…\n]{{1,20}}"
)


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
        if _HEADING.fullmatch(line):
            if heading or lines:
                yield Chapter(heading, "\n".join(lines))
            heading, lines = line, []
        else:
            lines.append(line)
    if heading or lines:
        yield Chapter(heading, "\n".join(lines))
