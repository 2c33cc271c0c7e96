"""The verse lines of a poem and their form."""

import re

_LINE_END = re.compile(r"[，。？！；：、,.?!;:\s]+")


def verse_lines(poem: str) -> list[str]:
    """The verse lines of a poem, which punctuation or white space separates."""
    return [line for line in _LINE_END.split(poem) if line]


def form(lines: list[str]) -> tuple[int, int] | None:
    """(number of lines, characters per line), or None if the lines differ in length."""
    lengths = {len(line) for line in lines}
    return (len(lines), lengths.pop()) if len(lengths) == 1 else None
