"""All documents of a task through its `prepare`, on as many cores as are allowed."""

import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from wenmo.config.prepare import SharedPrepareParams
from wenmo.tasks.task import Document, Prepared, Task

# Below this, starting processes takes longer than the work.
CHARACTERS_WORTH_A_PROCESS = 500_000


def prepare_all(
    task: Task, documents: Sequence[Document], params: SharedPrepareParams
) -> Iterator[Prepared]:
    """What comes of each document, in the documents' order whatever the number of processes."""
    prepare = partial(task.prepare, params=params)
    processes = number_of_processes(documents, params)
    if processes == 1:
        yield from map(prepare, documents)
        return
    # Long books come one at a time, so that no process is left with two; short poems in batches.
    batch = max(1, len(documents) // (processes * 8))
    with ProcessPoolExecutor(processes, initializer=_leave_interrupts_alone) as pool:
        yield from pool.map(prepare, documents, chunksize=batch)


def number_of_processes(documents: Sequence[Document], params: SharedPrepareParams) -> int:
    """`prepare.processes`, or a process a core for 0; never more than the work is worth."""
    characters = sum(len(document.text) for document in documents)
    worthwhile = min(len(documents), characters // CHARACTERS_WORTH_A_PROCESS)
    return max(1, min(params.processes or os.cpu_count() or 1, worthwhile))


def _leave_interrupts_alone() -> None:
    """Ctrl-C is for the parent, which then ends its workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
