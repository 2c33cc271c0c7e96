"""A text instead of a place: in which row wenmo wrote or read it, else the rows nearest to it."""

import re
import sys
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path

from wenmo.config.params_file import TASKS
from wenmo.core.language import gettext
from wenmo.core.records import read_json_lines
from wenmo.tools.trace.address import FILES, Address, as_place, located
from wenmo.tools.trace.card import Section, nearest_rows, trace
from wenmo.tools.trace.origin import raw_text

LOOKED_THROUGH = (("submit", "tuned", "base"), ("train", "eval"), ("prepared",), ("rejected",))
"""Kinds of files, those first that say most; the first group with the text decides."""

LEAST_LETTERS = 4
MOST_SHOWN = 10

_NO_LETTERS = re.compile(r"[\W\d_a-zA-Z]+")
_SAVED = re.compile(r"^\[(?:tuned|base)\]\n(.*?)(?=\n\n\[base\]\n|\Z)", re.S | re.M)


def trace_text(text: str, neighbours: int, *, params: bool = False) -> list[Section]:
    """What `trace` tells of the first row with the text, and where it stands besides.

    Marks and white space do not count. If no row has it, the training rows nearest to it. The
    repository's root must be the current folder.
    """
    wanted = _letters(text)
    places = next(filter(None, (list(_found(wanted, kinds)) for kinds in LOOKED_THROUGH)), [])
    if not places:
        heading = gettext("The text is in none of the rows that the pipeline read or wrote")
        return [(heading, [(gettext("text"), text)]), nearest_rows(TASKS, text, "", neighbours)]
    first, *others = places
    about, *rest = trace(first, neighbours, params=params)
    shown = [("", str(each)) for each in others[:MOST_SHOWN]]
    return [about, *([(gettext("The text stands here too"), shown)] if shown else []), *rest]


def pasted_text(argument: str) -> str:
    """The text that an argument is or names; empty if it names a row that `parse` knows.

    It is a text itself, a file that /save wrote, a raw text (as path:line) or - for standard input.
    Raises UserError for a raw text that cannot be read.
    """
    if argument == "-":
        return sys.stdin.read()
    if "\n" in argument:
        return argument
    if argument.endswith(".txt") and Path(argument).is_file():
        text = Path(argument).read_text(encoding="utf-8", errors="replace")
        saved = _SAVED.search(text)
        return saved[1] if saved else text
    if place := as_place(argument):
        if not place[1]:
            return ""
        root, path = located(place[0])
        with chdir(root):
            return raw_text(path, int(place[1]))
    return argument if len(_letters(argument)) >= LEAST_LETTERS else ""


def _found(wanted: str, kinds: tuple[str, ...]) -> Iterator[Address]:
    """The rows of these kinds of files that have the letters on end."""
    for kind in kinds:
        for task in TASKS:
            for path in sorted(Path().glob(FILES[kind][0].replace("<task>", task))):
                for place, content in read_json_lines(path):
                    text = content.get("output") or content.get("text")
                    if isinstance(text, str) and wanted in _letters(text):
                        yield Address(Path(), path, kind, task, int(place.rpartition(":")[2]))


def _letters(text: str) -> str:
    return _NO_LETTERS.sub("", text)
