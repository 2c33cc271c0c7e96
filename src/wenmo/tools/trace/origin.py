"""Where a row stands in the raw texts: which book, tale or poem of which file, and where in it.

The raw files are read by the readers that prepare uses. Cleaning changes what stands between the
letters of a text (white space, quotes, mark-up), so a passage is found in its book by its letters.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from wenmo.config.params_file import TASKS
from wenmo.core.encoding import read_text
from wenmo.core.errors import UserError, WrongArgumentsError
from wenmo.core.language import gettext
from wenmo.core.records import Row, read_json_lines
from wenmo.tasks.raw import TEST_FILE, MalformedRows
from wenmo.tasks.task import Document, load_task
from wenmo.text.chapters import chapters
from wenmo.text.cleaning import normal_form
from wenmo.tools.dvc_lock import Stage, raw_folder, read_lock

# So many letters at either end tell a passage of which cleaning took out something in between. Ends
# that lie further apart than twice its letters are not of one passage.
_END_LETTERS = 10
_LONGEST_STRETCH = 2


def raw_place(row: Row, prepare: Stage, folder: Path) -> Iterator[tuple[str, str]]:
    """The labelled lines about a row's raw text and its place there.

    `prepare` is the stage as dvc.lock records it, `folder` its raw texts. Raises UserError where
    they cannot be read.
    """
    section = prepare.section("prepare")
    document = _document(row, prepare.task, folder, section)
    if document is None:
        yield gettext("raw text"), gettext("no longer in {folder}", folder=folder)
        return
    place = (document.place, document.title)
    yield gettext("raw text"), gettext(", ").join(filter(None, place))
    yield (
        gettext("place in it"),
        _told(row.output, document.text, bool(section.get("to_simplified"))),
    )


def raw_text(path: Path, line: int) -> str:
    """The raw text at path:line, of a .txt file the line; empty where no raw texts are.

    The repository's root must be the current folder. Raises UserError if no text begins there.
    """
    lock = read_lock()
    for task in TASKS:
        prepare, folder = lock.get(f"prepare@{task}"), raw_folder(lock, task)
        if prepare is None or folder is None or not path.is_relative_to(folder):
            continue
        if path.suffix.lower() == ".txt":
            return "".join(read_text(path).splitlines()[line - 1 : line])
        for document in raw_documents(task, folder, prepare.section("prepare")):
            if document.place == f"{path}:{line}":
                return document.text
        raise WrongArgumentsError("{path}:{line}: no text begins there", path=path, line=line)
    return ""


def test_prompt_place(row: Row, folder: Path) -> str:
    """path:line of a test prompt; empty where it is no longer there."""
    path = folder / TEST_FILE
    lines = read_json_lines(path, MalformedRows(skip=True).refuse) if path.is_file() else ()
    places = [place for place, _ in lines]
    return places[row.position] if row.position < len(places) else ""


def _document(row: Row, task: str, folder: Path, section: dict[str, object]) -> Document | None:
    for document in raw_documents(task, folder, section):
        # A book has many rows; any other text has one. What prepare left out has no id.
        of_book = task == "novel" and row.id and not document.is_row
        if document.source == row.source and (of_book or document.position == row.position):
            return document
    return None


def raw_documents(task: str, folder: Path, section: dict[str, object]) -> Iterator[Document]:
    """The raw texts of a task as prepare read them, by its section of params.yaml.

    Raises UserError where they cannot be read.
    """
    module = load_task(task)
    try:
        params = module.PrepareParams.model_validate(section)
    except ValidationError:
        raise UserError("prepare ran with parameters of older code; run `dvc repro`") from None
    return module.read(folder, params, MalformedRows(skip=True))


def _told(text: str, raw: str, to_simplified: bool) -> str:
    span = find_back(text, raw, to_simplified)
    if span is None:
        return gettext("not found")
    start, end = span
    if (start, end) == (0, len(raw)):
        return gettext("all of its {count:,} characters", count=len(raw))
    line = raw.count("\n", 0, start) + 1
    before = "\n".join(line.strip() for line in raw[:start].splitlines())
    chapter = next((each.heading for each in reversed([*chapters(before)])), "")
    told = gettext(
        "characters {first:,} to {last:,} of {count:,}, from its line {line}",
        first=start + 1,
        last=end,
        count=len(raw),
        line=line,
    )
    if not chapter:
        return told
    return gettext("{place}, in {chapter}", place=told, chapter=chapter)


def find_back(text: str, raw: str, to_simplified: bool) -> tuple[int, int] | None:
    """From which to which character of a raw text (the end not counted) a row was taken.

    It is the shortest stretch with the passage's ends and room for all of its letters, since the
    opening may stand elsewhere too, as a refrain does. None if there is no such stretch.
    """
    if text and text in raw:
        return raw.index(text), raw.index(text) + len(text)
    (wanted, _), (letters, places) = (_letters(each, to_simplified) for each in (text, raw))
    if not wanted:
        return None
    opening, closing = wanted[:_END_LETTERS], wanted[-_END_LETTERS:]
    found = []
    for first in (each.start() for each in re.finditer(f"(?={re.escape(opening)})", letters)):
        least, most = first + len(wanted), first + _LONGEST_STRETCH * len(wanted)
        at = letters.find(closing, least - len(closing), most)
        if at >= 0:
            found.append((first, at + len(closing) - 1))
    if not found:
        return None
    first, last = min(found, key=lambda ends: ends[1] - ends[0])
    return places[first], places[last] + 1


def _letters(text: str, to_simplified: bool) -> tuple[str, list[int]]:
    """The letters that are not of a tag or an address, and the place of each in the text."""
    places = [at for at, each in enumerate(text) if each.isalpha() and not each.isascii()]
    # One letter stands for one, so that the places stay right.
    forms = {each: normal_form(each, to_simplified)[0] for each in {text[at] for at in places}}
    return "".join(forms[text[at]] for at in places), places
