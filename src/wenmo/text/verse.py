"""The verse lines of a poem and their form."""

import re

_MARKS = {
    **dict.fromkeys("，。？！；：、"),
    **dict(zip(",.?!;:．､｡﹐﹑﹒﹔﹕﹖﹗", "，。？！；：。、。，、。；：？！", strict=True)),
}
"""The marks of verse, each with the one that it is printed as if it is another's shape."""

_LINE_END = "".join(map(re.escape, _MARKS)) + r"\s/|／｜"
_LINE = re.compile(f"([^{_LINE_END}]+)([{_LINE_END}]*)")

# They choose a character's shape in a font and count as characters of their own.
_VARIATION_SELECTOR = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")


def verse_lines(poem: str) -> list[str]:
    """The verse lines of a poem, which punctuation, white space, a slash or a bar separates."""
    return [line for line, _ in marked_lines(poem)]


def marked_lines(poem: str) -> list[tuple[str, str]]:
    """The verse lines, each with the mark that ends it, in its Chinese shape; empty without one."""
    found = _LINE.findall(_VARIATION_SELECTOR.sub("", poem))
    return [(line, _mark(end)) for line, end in found]


def form(lines: list[str]) -> tuple[int, int] | None:
    """(number of lines, characters per line), or None if the lines differ in length."""
    lengths = {len(line) for line in lines}
    return (len(lines), lengths.pop()) if len(lengths) == 1 else None


def _mark(end: str) -> str:
    """The first mark of verse among what ends a line."""
    return next((_MARKS[mark] or mark for mark in end if mark in _MARKS), "")
