"""The lines of a poem and the form that they have."""

import re

_LINE_END = re.compile(r"[，。？！；：、,.?!;:\s]+")


def verse_lines(poem: str) -> list[str]:
    """The verse lines of a poem, parted by punctuation or newlines, without either."""
    return [line for line in _LINE_END.split(poem) if line]


def form(lines: list[str]) -> tuple[int, int] | None:
    """(number of lines, characters a line), or None where the lines differ in length."""
    lengths = {len(line) for line in lines}
    return (len(lines), lengths.pop()) if len(lengths) == 1 else None
