"""The poem that a prompt asks for: its form and its first line."""

import re

from wenmo.text.verse import form, verse_lines

FORMS = {"五言绝句": (4, 5), "七言绝句": (4, 7), "五言律诗": (8, 5), "七言律诗": (8, 7)}
"""The commonest forms by name: lines, and characters per line."""

NUMERALS = "零一二三四五六七八九"
NAMED_LINES = {"绝句": 4, "律诗": 8}
"""The lines of a form in the recent style."""

# How wenmo.tasks.poetry words a request.
_FIRST_LINE = re.compile(r"以“([^”]+)”为首句")
_FORM = re.compile(rf"([{NUMERALS}])言(?:(绝句|律诗)|[^。，]{{0,4}}，共(\d+)句)")


def asked_first_line(prompt: str) -> str | None:
    """The first line that a prompt gives, or None."""
    found = _FIRST_LINE.search(prompt)
    return found[1] if found else None


def asked_form(prompt: str, reference: str = "") -> tuple[int, int] | None:
    """(number of lines, characters per line) of the reference, or else as the prompt names it."""
    if reference:
        return form(verse_lines(reference))
    found = _FORM.search(prompt)
    if not found:
        return None
    length, name, count = found.groups()
    return (NAMED_LINES[name] if name else int(count), NUMERALS.index(length))
