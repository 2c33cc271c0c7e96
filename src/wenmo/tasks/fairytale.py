"""fairytale: tales with the request that asks for them.

Raw data: rows instruction/input/output in *.json (an array), *.jsonl or *.csv.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wenmo.errors import UserError
from wenmo.params import PositiveInt, Section
from wenmo.records import Row, read_json_lines, row_id, string_fields
from wenmo.tasks.task import ALPACA, Document, Prepared, raw_files, read_csv, read_json_array
from wenmo.text.cleaning import clean


class PrepareParams(Section):
    """Section `fairytale.prepare`."""

    min_tale_chars: PositiveInt
    max_tale_chars: PositiveInt


def read(folder: Path, params: PrepareParams) -> Iterator[Document]:
    """The tales, file by file. Raises UserError naming file and line."""
    for path in raw_files(folder, "*.json", "*.jsonl", "*.csv"):
        for position, (number, content) in enumerate(_rows(path)):
            fields = dict(
                zip(ALPACA, string_fields(content, ALPACA, f"{path}:{number}"), strict=True)
            )
            if not fields["output"].strip():
                raise UserError(f"{path}:{number}: the output is empty")
            yield Document(path.name, position, fields)


def prepare(document: Document, params: PrepareParams) -> Prepared:
    """A tale as one row; too short or too long ones are left out and counted."""
    instruction, input_, tale = (clean(document.fields[key]) for key in ALPACA)
    prepared = Prepared()
    if len(tale) < params.min_tale_chars:
        prepared.dropped["short"] += 1
    elif len(tale) > params.max_tale_chars:
        prepared.dropped["long"] += 1
    else:
        identity = row_id(document.source, f"{instruction}\n{input_}\n{tale}")
        row = Row(identity, document.source, document.position, instruction, input_, tale)
        prepared.rows.append(row)
    return prepared


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    if path.suffix == ".csv":
        return read_csv(path, ALPACA)
    return read_json_array(path) if path.suffix == ".json" else read_json_lines(path)
