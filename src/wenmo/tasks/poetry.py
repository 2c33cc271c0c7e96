"""Task poetry: classical poems, asked for by form and first line.

Raw data: *.csv, or *.json of the chinese-poetry repository (an array of objects with `paragraphs`;
https://github.com/chinese-poetry/chinese-poetry).
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wenmo.config.poetry import Columns, PrepareParams
from wenmo.core.errors import UserError
from wenmo.core.records import Row, row_id
from wenmo.tasks.raw import MalformedRows, check_writable, raw_files, read_csv, read_json_array
from wenmo.tasks.task import Document, Prepared
from wenmo.text.cleaning import Rejected, clean
from wenmo.text.quality import fault

_VERSE_LINE = re.compile(r"([^，。？！；：、\s]+)([，。？！；：、]?)")
_ILLEGIBLE = re.compile(r"[□■○（）()\[\]【】〖〗《》「」“”\da-zA-Z]")
_NUMERALS = "零一二三四五六七八九"
_NAMES = {4: "绝句", 8: "律诗"}


def read(folder: Path, params: PrepareParams, malformed: MalformedRows) -> Iterator[Document]:
    """The poems, file by file. Raises UserError naming file and line."""
    for path in raw_files(folder, "*.csv", "*.json"):
        for position, (place, title, content) in enumerate(_poems(path, params.columns, malformed)):
            try:
                if not content.strip():
                    raise UserError(f"{place}: the poem is empty")
                check_writable(title + content, f"{place}: the poem with its title")
            except UserError as error:
                malformed.refuse(error)
            else:
                yield Document(path.name, position, content, title, place=place)


def prepare(document: Document, params: PrepareParams) -> Prepared:
    """A poem as one row with a couplet per line, unless it is faulty or not in even couplets.

    Punctuation or line breaks separate verse lines.
    """
    cleaned = clean(document.text, params.to_simplified)
    prepared = Prepared(cleaned.characters_read, rejected_pieces=cleaned.rejected)
    found = _VERSE_LINE.findall(cleaned.text)
    lines = [line for line, _ in found]
    title = clean(document.title, params.to_simplified).text
    reason = _form_fault(cleaned.text, lines, params) or fault(cleaned.text, params.quality)
    if params.prompts == "title" and not title:
        reason = reason or "untitled"
    if reason:
        prepared.rejected_rows.append(Rejected(reason, cleaned.text))
    else:
        marked = [line + mark for line, mark in found]
        poem = "\n".join(a + b for a, b in zip(marked[::2], marked[1::2], strict=True))
        identity = row_id(document.source, poem)
        prompt = word_prompt(lines, title, params.prompts)
        row = Row(identity, document.source, document.position, prompt, "", poem)
        prepared.rows.append(row)
    return prepared


def word_prompt(lines: list[str], title: str, prompts: str) -> str:
    """The request for a poem of these verse lines' form, by its first line or its title.

    With `theme` it is empty, and summarize writes it.
    """
    if prompts == "theme":
        return ""
    measure = f"{_NUMERALS[len(lines[0])]}言"
    name = _NAMES.get(len(lines), "") if len(lines[0]) in (5, 7) else ""
    form = f"{measure}{name}" if name else f"{measure}诗，共{len(lines)}句"
    if prompts == "title":
        return f"以《{title}》为题，写一首{form}。"
    return f"以“{lines[0]}”为首句，写一首{form}。"


def _poems(
    path: Path, columns: Columns, malformed: MalformedRows
) -> Iterator[tuple[str, str, str]]:
    """The place, title and content of each poem in a file."""
    if path.suffix == ".csv":
        wanted = (columns.title, columns.author, columns.dynasty, columns.content)
        for place, content in read_csv(path, wanted, malformed):
            yield place, content[columns.title], content[columns.content]
        return
    for place, content in read_json_array(path, malformed):
        try:
            # A poem to a tune has the tune's name instead of a title.
            title = content.get("title") or content.get("rhythmic") or ""
            yield place, str(title), _paragraphs(content, place)
        except UserError as error:
            malformed.refuse(error)


def _paragraphs(content: dict[str, Any], place: str) -> str:
    lines = content.get("paragraphs")
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        raise UserError(f"{place}: expected 'paragraphs', a list of strings")
    return "\n".join(lines)


def _form_fault(content: str, lines: list[str], params: PrepareParams) -> str | None:
    if _ILLEGIBLE.search(content):
        return "gaps or notes"
    even = len({len(line) for line in lines}) == 1 and len(lines) % 2 == 0
    if not even or not 4 <= len(lines[0]) <= 7:
        return "uneven"
    return "long" if len(lines) > params.max_lines else None
