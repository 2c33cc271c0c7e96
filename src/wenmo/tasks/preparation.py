"""From a folder of raw texts to a task's rows, a document at a time.

Raw texts are read twice: once to refuse malformed ones and to tell how much there is before the
work begins, and once to prepare them.
"""

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TextIO

from tqdm import tqdm

from wenmo.config.prepare import SharedPrepareParams
from wenmo.core.errors import UserError
from wenmo.core.language import gettext
from wenmo.core.ordered_map import ordered_map
from wenmo.core.records import Row, json_line
from wenmo.core.row_files import SourceWriter
from wenmo.tasks.ledger import LENGTH_STEP, SourceLedger, entry, metrics
from wenmo.tasks.raw import MalformedRows
from wenmo.tasks.task import Document, Prepared, Task, read_test_rows

# Starting a process takes longer than preparing fewer characters.
CHARACTERS_WORTH_A_PROCESS = 500_000

# A process gets so many characters of short documents at a time, or one long document.
CHARACTERS_AT_ONCE = 50_000


@dataclass(frozen=True)
class RawTexts:
    """What a raw folder holds: by source documents and characters; test prompts; malformed rows."""

    folder: Path
    documents: Counter[str]
    characters: Counter[str]
    test_rows: list[Row]
    malformed: int

    def __str__(self) -> str:
        """Characters and texts per source, and the two counts, as a table for the terminal."""
        lines = [
            gettext(
                "{characters:>10,} characters {texts:>6,} texts  {source}",
                characters=self.characters[source],
                texts=count,
                source=source,
            )
            for source, count in self.documents.items()
        ]
        lines.append(gettext("{count:>35,} test prompts", count=len(self.test_rows)))
        lines.append(gettext("{count:>35,} malformed rows skipped", count=self.malformed))
        return "\n".join(lines)


@dataclass
class Account:
    """What became of the texts: by source the ledger, and the number of rows by length."""

    ledgers: dict[str, SourceLedger] = field(default_factory=lambda: defaultdict(SourceLedger))
    lengths: Counter[int] = field(default_factory=Counter)


def survey(task: Task, folder: Path, params: SharedPrepareParams) -> RawTexts:
    """Read every raw text of a task, and keep none.

    Raises UserError naming file and line of a malformed row, unless prepare.skip_malformed is set,
    and if there is no text.
    """
    malformed = MalformedRows(params.skip_malformed)
    documents, characters = Counter[str](), Counter[str]()
    for document in task.read(folder, params, malformed):
        documents[document.source] += 1
        characters[document.source] += len(document.text)
    if not documents:
        raise UserError("{folder}: its files hold no text", folder=folder)
    return RawTexts(folder, documents, characters, read_test_rows(folder), malformed.count)


def prepare_texts(
    task: Task, raw: RawTexts, params: SharedPrepareParams, sources: Path, rejected: TextIO
) -> Account:
    """Write the rows of all documents, a file per source, and what was left out if it is asked for.

    `sources` is an empty folder. Raises UserError if no document gives a row.
    """
    account = Account()
    documents = task.read(raw.folder, params, MalformedRows(params.skip_malformed))
    processes = number_of_processes(raw, params)
    outcomes = prepare_all(task, documents, params, processes)
    with SourceWriter(sources) as writer:
        for document, prepared, ledger in tqdm(outcomes, "preparing", raw.documents.total()):
            writer.write(prepared.rows)
            account.ledgers[document.source] += ledger
            account.lengths.update(len(row.output) // LENGTH_STEP for row in prepared.rows)
            if params.keep_rejects:
                place = {"source": document.source, "document": document.position}
                for each in prepared.rejected_pieces + prepared.rejected_rows:
                    rejected.write(json_line(place | asdict(each)))
    if not account.lengths:
        dropped = metrics(account.ledgers, raw.malformed)["dropped_rows"]
        reasons = (
            gettext("{count:,} {reason}", count=count, reason=gettext(reason))
            for reason, count in dropped.items()
        )
        raise UserError(
            "{folder}: no text can be used; left out: {reasons}; the bounds are in the sections"
            " `prepare` of params.yaml",
            folder=raw.folder,
            reasons=gettext(", ").join(reasons),
        )
    return account


def prepare_all(
    task: Task, documents: Iterable[Document], params: SharedPrepareParams, processes: int
) -> Iterator[tuple[Document, Prepared, SourceLedger]]:
    """Each prepared document with its account, in the documents' order.

    The result is the same for any number of processes, here or on a cluster. Few documents are in
    memory at a time.
    """
    prepare = partial(_each, partial(_with_account, task.prepare, params))
    for batch in ordered_map(prepare, _batches(documents), processes):
        yield from batch


def number_of_processes(raw: RawTexts, params: SharedPrepareParams) -> int:
    """`prepare.processes`, or one process per core for 0; never more than the work is worth."""
    worthwhile = raw.characters.total() // CHARACTERS_WORTH_A_PROCESS
    worthwhile = min(raw.documents.total(), worthwhile)
    return max(1, min(params.processes or os.cpu_count() or 1, worthwhile))


def _batches(documents: Iterable[Document]) -> Iterator[list[Document]]:
    batch, characters = list[Document](), 0
    for document in documents:
        batch.append(document)
        characters += len(document.text)
        if characters >= CHARACTERS_AT_ONCE:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def _each(
    prepare: Callable[[Document], tuple[Document, Prepared, SourceLedger]], batch: list[Document]
) -> list[tuple[Document, Prepared, SourceLedger]]:
    return [prepare(document) for document in batch]


def _with_account(
    prepare: Callable[..., Prepared], params: SharedPrepareParams, document: Document
) -> tuple[Document, Prepared, SourceLedger]:
    prepared = prepare(document, params)
    # Its text has been used, and would go from one process to another for nothing.
    return replace(document, text=""), prepared, entry(prepared)
