"""From a folder of raw texts to a task's rows. Outputs are replaced only when all is prepared."""

import os
import shutil
import signal
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from wenmo.config.prepare import SharedPrepareParams
from wenmo.core.errors import UserError
from wenmo.core.records import Row
from wenmo.tasks.ledger import SourceLedger, entry, metrics
from wenmo.tasks.raw import MalformedRows
from wenmo.tasks.task import Document, Prepared, Task, read_test_rows

# Starting a process takes longer than preparing fewer characters.
CHARACTERS_WORTH_A_PROCESS = 500_000


@dataclass(frozen=True)
class RawTexts:
    """A raw folder's documents, its test prompts, and the number of malformed rows skipped."""

    folder: Path
    documents: list[Document]
    test_rows: list[Row]
    malformed: int

    def __str__(self) -> str:
        """Characters and documents per source, and the two counts, as a table for the terminal."""
        documents, characters = Counter[str](), Counter[str]()
        for document in self.documents:
            documents[document.source] += 1
            characters[document.source] += len(document.text)
        lines = [
            f"{characters[source]:>10,} characters {documents[source]:>6,} documents  {source}"
            for source in documents
        ]
        lines.append(f"{len(self.test_rows):>35,} test prompts")
        lines.append(f"{self.malformed:>35,} malformed rows skipped")
        return "\n".join(lines)


@dataclass
class PreparedTexts:
    """By source the rows and the account, and what was left out if prepare.keep_rejects asks."""

    rows: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))
    ledgers: dict[str, SourceLedger] = field(default_factory=lambda: defaultdict(SourceLedger))
    rejected: list[dict[str, Any]] = field(default_factory=list)


def read_raw(task: Task, folder: Path, params: SharedPrepareParams) -> RawTexts:
    """Read every raw text of a task.

    Raises UserError naming file and line of a malformed row, unless prepare.skip_malformed is set,
    and if there is no text.
    """
    malformed = MalformedRows(params.skip_malformed)
    documents = list(task.read(folder, params, malformed))
    if not documents:
        raise UserError(f"{folder}: its files hold no text")
    return RawTexts(folder, documents, read_test_rows(folder), malformed.count)


def prepare_texts(task: Task, raw: RawTexts, params: SharedPrepareParams) -> PreparedTexts:
    """The rows of all documents. Raises UserError if no document gives a row."""
    texts = PreparedTexts()
    outcomes = tqdm(prepare_all(task, raw.documents, params), "preparing", len(raw.documents))
    for document, (prepared, account) in zip(raw.documents, outcomes, strict=True):
        texts.rows[document.source] += prepared.rows
        texts.ledgers[document.source] += account
        if params.keep_rejects:
            place = {"source": document.source, "document": document.position}
            rejected = prepared.rejected_pieces + prepared.rejected_rows
            texts.rejected += [place | asdict(each) for each in rejected]
    if not any(texts.rows.values()):
        dropped = metrics(texts.ledgers, raw.malformed)["dropped_rows"]
        raise UserError(f"{raw.folder}: no text can be used; dropped {dropped}")
    return texts


def prepare_all(
    task: Task, documents: Sequence[Document], params: SharedPrepareParams
) -> Iterator[tuple[Prepared, SourceLedger]]:
    """Each prepared document with its account, in the documents' order.

    The result is the same for any number of processes.
    """
    prepare = partial(_with_account, task.prepare, params)
    processes = number_of_processes(documents, params)
    if processes == 1:
        yield from map(prepare, documents)
        return
    # Long books come one at a time, so that no process is left with two; short poems in batches.
    batch = max(1, len(documents) // (processes * 8))
    with ProcessPoolExecutor(processes, initializer=_leave_interrupts_alone) as pool:
        yield from pool.map(prepare, documents, chunksize=batch)


def number_of_processes(documents: Sequence[Document], params: SharedPrepareParams) -> int:
    """`prepare.processes`, or one process per core for 0; never more than the work is worth."""
    characters = sum(len(document.text) for document in documents)
    worthwhile = min(len(documents), characters // CHARACTERS_WORTH_A_PROCESS)
    return max(1, min(params.processes or os.cpu_count() or 1, worthwhile))


@contextmanager
def replaced_folder(path: Path) -> Iterator[Path]:
    """An empty folder to fill, which takes the place of `path` if the block ends without error.

    Nothing of the old folder is left: the file of a source that is gone goes with it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        new.mkdir()
    except OSError as error:
        # The user knows the output, not the folder that stands in for it.
        raise OSError(error.errno, error.strerror, str(path)) from None
    try:
        yield new
        if path.exists():
            shutil.rmtree(path)
        new.rename(path)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _with_account(
    prepare: Callable[..., Prepared], params: SharedPrepareParams, document: Document
) -> tuple[Prepared, SourceLedger]:
    prepared = prepare(document, params)
    return prepared, entry(prepared)


def _leave_interrupts_alone() -> None:
    """Ctrl-C is for the parent, which then ends its workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
