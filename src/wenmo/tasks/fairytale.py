"""Task fairytale: tales with the request that asks for them.

Raw data: rows as tasks/rows.py reads them, in *.json, *.jsonl, *.csv or *.parquet, or in a dataset
of the Hugging Face hub.
"""

from collections.abc import Iterator
from pathlib import Path

from wenmo.config.fairytale import PrepareParams
from wenmo.tasks.hub_dataset import read_dataset, source_name
from wenmo.tasks.raw import TABLES, MalformedRows, raw_files, read_table
from wenmo.tasks.rows import COLUMNS, documents, prepare_row
from wenmo.tasks.task import Document, Prepared


def read(folder: Path, params: PrepareParams, malformed: MalformedRows) -> Iterator[Document]:
    """The tales, file by file, or those of a dataset. Raises UserError naming file and line."""
    if params.dataset.name:
        rows = read_dataset(params.dataset, "fairytale", COLUMNS)
        yield from documents(source_name(params.dataset), rows, malformed)
        return
    for path in raw_files(folder, *TABLES):
        yield from documents(path.name, read_table(path, COLUMNS, malformed), malformed)


def prepare(document: Document, params: PrepareParams) -> Prepared:
    """A tale as one row, unless it is too short, too long or faulty."""
    return prepare_row(document, params, params.min_tale_chars, params.max_tale_chars)
