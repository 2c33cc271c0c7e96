"""novel: passages of books. Raw data: *.jsonl with one book a line, {"name", "text"}."""

from collections.abc import Iterator
from pathlib import Path

from wenmo.errors import ParamsError, UserError
from wenmo.params import Count, PositiveInt, Section
from wenmo.records import Row, read_json_lines, row_id, string_fields
from wenmo.tasks.task import Document, Prepared, raw_files
from wenmo.text.cleaning import clean
from wenmo.text.passages import chapters, passages


class PrepareParams(Section):
    """Section `novel.prepare`."""

    include: list[str]
    exclude: list[str]
    max_passage_chars: PositiveInt
    min_passage_chars: Count


def read(folder: Path, params: PrepareParams) -> Iterator[Document]:
    """The chosen books, in the files' order. Raises UserError naming file and line."""
    names: set[str] = set()
    for path in raw_files(folder, "*.jsonl"):
        for number, content in read_json_lines(path):
            place = f"{path}:{number}"
            name, text = string_fields(content, ("name", "text"), place)
            if not name or "/" in name or name.startswith("."):
                raise UserError(f"{place}: {name!r} cannot name a file; change the book's name")
            if name in names:
                raise UserError(f"{place}: a second book named {name!r}")
            if not text.strip():
                raise UserError(f"{place}: the text of {name!r} is empty")
            names.add(name)
            if name not in params.exclude and (not params.include or name in params.include):
                yield Document(name, number, {"text": text})
    for key, chosen in (("include", params.include), ("exclude", params.exclude)):
        unknown = [name for name in chosen if name not in names]
        if unknown:
            raise ParamsError(
                f"params.yaml: novel.prepare.{key}: no book {unknown[0]!r} in {folder}"
            )


def prepare(document: Document, params: PrepareParams) -> Prepared:
    """A book's passages; the prompt of each is written by summarize."""
    prepared = Prepared()
    for chapter in chapters(clean(document.fields["text"])):
        for passage in passages(chapter, params.max_passage_chars):
            if len(passage) < params.min_passage_chars:
                prepared.dropped["short"] += 1
                continue
            position = len(prepared.rows)
            identity = row_id(document.source, passage)
            prepared.rows.append(Row(identity, document.source, position, "", "", passage))
    return prepared
