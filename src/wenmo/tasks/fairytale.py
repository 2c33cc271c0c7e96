"""Task fairytale: tales with the request that asks for them.

Raw data: rows instruction/input/output in *.json (an array), *.jsonl or *.csv.
"""

from collections.abc import Iterator
from pathlib import Path

from wenmo.config.fairytale import PrepareParams
from wenmo.core.errors import UserError
from wenmo.core.records import Row, read_json_lines, row_id
from wenmo.tasks.raw import (
    Located,
    MalformedRows,
    raw_files,
    read_csv,
    read_json_array,
    text_fields,
)
from wenmo.tasks.task import ALPACA, Document, Prepared
from wenmo.text.cleaning import Rejected, clean
from wenmo.text.quality import fault


def read(folder: Path, params: PrepareParams, malformed: MalformedRows) -> Iterator[Document]:
    """The tales, file by file. Raises UserError naming file and line."""
    for path in raw_files(folder, "*.json", "*.jsonl", "*.csv"):
        for position, (place, content) in enumerate(_rows(path, malformed)):
            try:
                instruction, input_, tale = text_fields(content, ALPACA, place)
                if not tale.strip():
                    raise UserError(f"{place}: the output is empty")
            except UserError as error:
                malformed.refuse(error)
            else:
                yield Document(path.name, position, tale, "", instruction, input_, place)


def prepare(document: Document, params: PrepareParams) -> Prepared:
    """A tale as one row, unless it is too short, too long or faulty."""
    cleaned = clean(document.text, params.to_simplified)
    tale, prepared = (
        cleaned.text,
        Prepared(cleaned.characters_read, rejected_pieces=cleaned.rejected),
    )
    if len(tale) < params.min_tale_chars:
        reason: str | None = "short"
    elif len(tale) > params.max_tale_chars:
        reason = "long"
    else:
        reason = fault(tale, params.quality)
    if reason:
        prepared.rejected_rows.append(Rejected(reason, tale))
    else:
        instruction = clean(document.instruction, params.to_simplified).text
        input_ = clean(document.input, params.to_simplified).text
        identity = row_id(document.source, f"{instruction}\n{input_}\n{tale}")
        row = Row(identity, document.source, document.position, instruction, input_, tale)
        prepared.rows.append(row)
    return prepared


def _rows(path: Path, malformed: MalformedRows) -> Located:
    match path.suffix:
        case ".csv":
            return read_csv(path, ALPACA, malformed)
        case ".json":
            return read_json_array(path, malformed)
        case _:
            return read_json_lines(path, malformed.refuse)
