"""poetry: classical poems, asked for by form and first line. Raw data: *.csv."""

import re
from collections.abc import Iterator
from pathlib import Path

from wenmo.errors import UserError
from wenmo.params import PositiveInt, Section
from wenmo.records import Row, row_id
from wenmo.tasks.task import Document, Prepared, raw_files, read_csv
from wenmo.text.cleaning import clean

_VERSE_LINE = re.compile(r"([^，。？！；：、\s]+)([，。？！；：、]?)")
_ILLEGIBLE = re.compile(r"[□■○（）()\[\]【】〖〗《》「」“”\da-zA-Z]")
_NUMERALS = "零一二三四五六七八九"
_NAMES = {4: "绝句", 8: "律诗"}


class Columns(Section):
    """Section `poetry.prepare.columns`: what the CSV's header calls each column."""

    title: str
    author: str
    dynasty: str
    content: str


class PrepareParams(Section):
    """Section `poetry.prepare`."""

    columns: Columns
    max_lines: PositiveInt


def read(folder: Path, params: PrepareParams) -> Iterator[Document]:
    """The poems, file by file. Raises UserError naming file and line."""
    columns = params.columns
    for path in raw_files(folder, "*.csv"):
        wanted = (columns.title, columns.author, columns.dynasty, columns.content)
        for position, (number, content) in enumerate(read_csv(path, wanted)):
            if not content[columns.content].strip():
                raise UserError(f"{path}:{number}: column {columns.content!r} is empty")
            yield Document(path.name, position, {"content": content[columns.content]})


def prepare(document: Document, params: PrepareParams) -> Prepared:
    """A poem as one row, a couplet a line; uneven or annotated ones are left out and counted."""
    content = clean(document.fields["content"])
    prepared = Prepared()
    found = _VERSE_LINE.findall(content)
    lines = [line for line, _ in found]
    if _ILLEGIBLE.search(content):
        prepared.dropped["gaps or notes"] += 1
    elif len({len(line) for line in lines}) != 1 or len(lines) % 2 or not 4 <= len(lines[0]) <= 7:
        prepared.dropped["uneven"] += 1
    elif len(lines) > params.max_lines:
        prepared.dropped["long"] += 1
    else:
        marked = [line + mark for line, mark in found]
        poem = "\n".join(a + b for a, b in zip(marked[::2], marked[1::2], strict=True))
        identity = row_id(document.source, poem)
        row = Row(identity, document.source, document.position, word_prompt(lines), "", poem)
        prepared.rows.append(row)
    return prepared


def word_prompt(lines: list[str]) -> str:
    """The request for a poem of these verse lines' form that opens with the first of them."""
    measure = f"{_NUMERALS[len(lines[0])]}言"
    name = _NAMES.get(len(lines), "") if len(lines[0]) in (5, 7) else ""
    form = f"{measure}{name}" if name else f"{measure}诗，共{len(lines)}句"
    return f"以“{lines[0]}”为首句，写一首{form}。"
