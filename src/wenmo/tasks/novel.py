"""Task novel: passages of books.

Raw data: one *.txt or *.html per book, whose name is the file's, or *.jsonl, *.json, *.csv and
*.parquet with one book per row, {"name", "text"}. Rows without these are passages with their
prompts, as tasks/rows.py reads them. A dataset of the Hugging Face hub has the same rows.
"""

from collections.abc import Iterator
from pathlib import Path

from wenmo.config.novel import PrepareParams
from wenmo.core.encoding import read_text
from wenmo.core.errors import ParamsError, UserError
from wenmo.core.language import gettext
from wenmo.core.records import Row, row_id
from wenmo.tasks.hub_dataset import read_dataset, source_name
from wenmo.tasks.raw import (
    TABLES,
    Located,
    MalformedRows,
    check_writable,
    raw_files,
    read_table,
    text_fields,
)
from wenmo.tasks.rows import COLUMNS, documents, prepare_row
from wenmo.tasks.task import Document, Prepared
from wenmo.text.chapters import chapters
from wenmo.text.cleaning import Rejected, clean
from wenmo.text.passages import passages
from wenmo.text.quality import fault
from wenmo.text.sentences import CLOSING_QUOTES

BOOK = ("name", "text")

BOOK_FILES = ("*.txt", "*.html", "*.htm")
"""Files that are one book each."""

LONGEST_NAME = 200
"""Greatest length of a book's name in bytes: file systems allow 255 for a file's whole name."""


def read(folder: Path, params: PrepareParams, malformed: MalformedRows) -> Iterator[Document]:
    """The chosen books, in the files' order.

    Raises UserError naming file and line, and ParamsError for a chosen book that is not there.
    """
    names: set[str] = set()
    for source, entries in _sources(folder, params, malformed):
        for position, (place, content) in enumerate(entries):
            if not content.keys() & {*BOOK}:
                yield from documents(source, iter([(place, content)]), malformed, position)
                continue
            try:
                name, text = text_fields(content, BOOK, place)
            except UserError as error:
                malformed.refuse(error)
                continue
            if fault := _book_fault(name, text, names):
                malformed.refuse(UserError("{place}: {error}", place=place, error=fault))
                continue
            names.add(name)
            if name not in params.exclude and (not params.include or name in params.include):
                yield Document(name, len(names), text, place=place)
    for key, chosen in (("include", params.include), ("exclude", params.exclude)):
        unknown = [name for name in chosen if name not in names]
        if unknown:
            raise ParamsError(
                "params.yaml: novel.prepare.{key}: no book {book!r} in {folder}",
                key=key,
                book=unknown[0],
                folder=folder,
            )


def prepare(document: Document, params: PrepareParams) -> Prepared:
    """A book's passages as rows without a prompt, which summarize writes.

    Positions count all passages of the book, those left out too, so that neighbours are known.
    """
    if document.is_row:
        return prepare_row(document, params)
    cleaned = clean(document.text, params.to_simplified, unwrap=True)
    prepared = Prepared(cleaned.characters_read, rejected_pieces=cleaned.rejected)
    position = 0
    for chapter in chapters(cleaned.text):
        if chapter.heading:
            prepared.rejected_pieces.append(Rejected("heading", chapter.heading))
        for cut in passages(chapter.text, params.passages):
            passage = cut.strip().lstrip(CLOSING_QUOTES).lstrip()
            orphans = cut.strip().removesuffix(passage)
            if orphans:
                prepared.rejected_pieces.append(Rejected("orphan quote", orphans))
            short = len(passage) < params.passages.minimum
            reason = "short" if short else fault(passage, params.quality)
            if reason:
                prepared.rejected_rows.append(Rejected(reason, passage))
            else:
                identity = row_id(document.source, passage)
                prepared.rows.append(Row(identity, document.source, position, "", "", passage))
            position += 1
    return prepared


def _sources(
    folder: Path, params: PrepareParams, malformed: MalformedRows
) -> Iterator[tuple[str, Located]]:
    """The books and rows of each file, or of the dataset that is read instead."""
    if params.dataset.name:
        rows = read_dataset(params.dataset, "novel", (*BOOK, *COLUMNS))
        yield source_name(params.dataset), rows
        return
    for path in raw_files(folder, *BOOK_FILES, *TABLES):
        yield path.name, _entries(path, malformed)


def _entries(path: Path, malformed: MalformedRows) -> Located:
    """The books and rows of a file."""
    if path.suffix.lower() not in {name.lstrip("*") for name in BOOK_FILES}:
        yield from read_table(path, (*BOOK, *COLUMNS), malformed)
        return
    try:
        text = read_text(path)
        check_writable(text, gettext("{path}: the text", path=path))
        yield str(path), {"name": path.stem, "text": text}
    except UserError as error:
        malformed.refuse(error)


def _book_fault(name: str, text: str, names: set[str]) -> str | None:
    if not name or "/" in name or name.startswith(".") or len(name.encode()) > LONGEST_NAME:
        return gettext("{name!r} cannot name a file; change the book's name", name=name)
    if name in names:
        return gettext("a second book named {name!r}", name=name)
    return None if text.strip() else gettext("the text of {name!r} is empty", name=name)
