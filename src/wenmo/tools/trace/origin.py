"""Where a row stands in the raw texts: which book, tale or poem of which file, and where in it.

The raw files are read by the readers that prepare uses. A passage is found back in its book by its
Chinese characters, since cleaning changes what stands between them: white space, quotes, mark-up.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wenmo.core.records import read_json_lines
from wenmo.tasks.raw import (
    TEST_FILE,
    MalformedRows,
    raw_files,
    read_csv,
    read_json_array,
    read_text,
)
from wenmo.text.chapters import chapters
from wenmo.text.cleaning import normal_form

# Letters by which the ends of a passage are told where cleaning took words out of its middle; ends
# with more than twice the passage's letters between them are not of one passage.
_END_LETTERS = 10
_LONGEST_STRETCH = 2


@dataclass(frozen=True)
class RawText:
    """A book, tale or poem: its path:line, the source and position that its rows have, its text.

    `title` is what it is called, with author and dynasty where the file tells them.
    """

    place: str
    source: str
    position: int
    title: str
    text: str


@dataclass(frozen=True)
class Span:
    """From which character of a raw text to which (the end not counted) a row was taken.

    `whole` says that nothing was taken out between, and `times` how often the row stands there;
    the span is the first of them.
    """

    start: int
    end: int
    whole: bool
    times: int


def raw_texts(task: str, folder: Path, prepare: Mapping[str, Any]) -> Iterator[RawText]:
    """The raw texts that prepare reads; `prepare` is its section. Malformed rows are passed over.

    Raises UserError where the folder has no raw texts or a file is malformed as a whole.
    """
    malformed = MalformedRows(skip=True)
    match task:
        case "novel":
            yield from _books(folder, malformed)
        case "fairytale":
            yield from _tales(folder, malformed)
        case _:
            yield from _poems(folder, prepare["columns"], malformed)


def test_prompt_places(folder: Path) -> list[str]:
    """path:line of each test prompt, in order. Malformed lines are passed over."""
    path = folder / TEST_FILE
    refuse = MalformedRows(skip=True).refuse
    return [place for place, _ in read_json_lines(path, refuse)] if path.is_file() else []


def find_back(text: str, raw: str, to_simplified: bool) -> Span | None:
    """Where in a raw text a row's text was taken from; None if it does not stand there.

    What cleaning left alone is found as it is, the rest by its letters. Where cleaning took words
    out of its middle, it is told by its first and last letters.
    """
    if text and text in raw:
        start = raw.index(text)
        return Span(start, start + len(text), True, raw.count(text))
    wanted, _ = _letters(text, to_simplified)
    letters, places = _letters(raw, to_simplified)
    if not wanted:
        return None
    first = letters.find(wanted)
    last, whole = first + len(wanted), first >= 0
    if not whole:
        stretch = _stretch(wanted, letters)
        if stretch is None:
            return None
        first, last = stretch
    # What is no letter at the text's own ends, such as quotes and the full stop, is counted in.
    before = next(at for at, letter in enumerate(text) if _is_letter(letter))
    after = next(at for at, letter in enumerate(reversed(text)) if _is_letter(letter))
    start, end = places[first] - before, places[last - 1] + 1 + after
    return Span(max(0, start), min(len(raw), end), whole, max(1, letters.count(wanted)))


def _stretch(wanted: str, letters: str) -> tuple[int, int] | None:
    """The shortest stretch that has the ends of a passage and room for all of its letters.

    The opening may stand elsewhere too, as a refrain does.
    """
    if len(wanted) < 2 * _END_LETTERS:
        return None
    found = []
    for opening in re.finditer(re.escape(wanted[:_END_LETTERS]), letters):
        first = opening.start()
        longest = first + _LONGEST_STRETCH * len(wanted)
        closing = letters.find(wanted[-_END_LETTERS:], first + len(wanted) - _END_LETTERS, longest)
        if closing >= 0:
            found.append((first, closing + _END_LETTERS))
    return min(found, key=lambda ends: ends[1] - ends[0], default=None)


def chapter_at(raw: str, at: int) -> str:
    """The heading of the chapter which a place of a book lies in; empty before the first one."""
    lines = "\n".join(line.strip() for line in raw[:at].splitlines())
    return next((each.heading for each in reversed(list(chapters(lines)))), "")


def _books(folder: Path, malformed: MalformedRows) -> Iterator[RawText]:
    for path in raw_files(folder, "*.jsonl", "*.txt"):
        if path.suffix == ".txt":
            yield RawText(f"{path}:1", path.stem, 0, path.stem, read_text(path))
            continue
        for place, book in read_json_lines(path, malformed.refuse):
            name, text = book.get("name"), book.get("text")
            if isinstance(name, str) and isinstance(text, str):
                yield RawText(place, name, 0, name, text)


def _tales(folder: Path, malformed: MalformedRows) -> Iterator[RawText]:
    for path in raw_files(folder, "*.json", "*.jsonl", "*.csv"):
        match path.suffix:
            case ".csv":
                tales = read_csv(path, ("output",), malformed)
            case ".json":
                tales = read_json_array(path, malformed)
            case _:
                tales = read_json_lines(path, malformed.refuse)
        for position, (place, tale) in enumerate(tales):
            yield RawText(place, path.name, position, "", str(tale.get("output", "")))


def _poems(folder: Path, columns: Mapping[str, str], malformed: MalformedRows) -> Iterator[RawText]:
    for path in raw_files(folder, "*.csv", "*.json"):
        if path.suffix == ".csv":
            names = [columns[key] for key in ("title", "author", "dynasty", "content")]
            for position, (place, poem) in enumerate(read_csv(path, tuple(names), malformed)):
                title, author, dynasty, content = (poem[name] for name in names)
                called = _called(title, author, dynasty)
                yield RawText(place, path.name, position, called, content)
            continue
        # A poem without lines is malformed and, unlike other such rows, has no position.
        poems = (
            each
            for each in read_json_array(path, malformed)
            if isinstance(lines := each[1].get("paragraphs"), list)
            and all(isinstance(line, str) for line in lines)
        )
        for position, (place, poem) in enumerate(poems):
            title = poem.get("title") or poem.get("rhythmic") or ""
            called = _called(str(title), str(poem.get("author") or ""))
            yield RawText(place, path.name, position, called, "\n".join(poem["paragraphs"]))


def _called(title: str, author: str, dynasty: str = "") -> str:
    by = f"{author} ({dynasty})" if author and dynasty else author
    return ", ".join(filter(None, (f"《{title}》" if title else "", by)))


def _is_letter(character: str) -> bool:
    """Whether a character is one of a text's own words: not of a tag, an entity or an address."""
    return character.isalpha() and not character.isascii()


def _letters(text: str, to_simplified: bool) -> tuple[str, list[int]]:
    """The text's letters in their normal form, and the place of each in the text."""
    places = [at for at, character in enumerate(text) if _is_letter(character)]
    letters = "".join(text[at] for at in places)
    form = normal_form(letters, to_simplified)
    if len(form) != len(letters):
        # One letter for another, so that the places stay right.
        forms = {letter: normal_form(letter, to_simplified)[0] for letter in set(letters)}
        form = "".join(forms[letter] for letter in letters)
    return form, places
