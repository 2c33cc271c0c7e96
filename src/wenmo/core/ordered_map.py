"""A function of each of many items, in the items' order, wherever it is computed.

Without more, that is this machine: one process or a pool of them. The variable WENMO_CLUSTER, in
the environment or in .env, names a Ray cluster instead. It changes no result, so no stage knows of
it and no parameter holds it.
"""

import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from itertools import chain, islice
from typing import Generic, TypeVar

from wenmo.core.cluster import VARIABLE, Cluster
from wenmo.core.errors import UserError
from wenmo.core.keys import secret

Item = TypeVar("Item")
Result = TypeVar("Result")

DEATHS = 10
"""Ended processes between two results, after which memory is short rather than luck."""


def ordered_map(
    function: Callable[[Item], Result], items: Iterable[Item], processes: int = 1
) -> Iterator[Result]:
    """The result for each item, in order. Few items are in memory at a time.

    `processes` are this machine's. Function, items and results must be picklable. If a process or
    a node dies, what it had is computed again. Raises UserError if that does not help, if the
    cluster cannot be reached or has other libraries, and what `function` raises.
    """
    items = iter(items)
    first = list(islice(items, 2))
    items = chain(first, items)
    workers: Cluster[Item, Result] | Pool[Item, Result]
    if len(first) < 2:
        # One item is done sooner than handed over.
        yield from map(function, items)
        return
    if address := secret(VARIABLE):
        workers = Cluster(function, address)
    elif processes > 1:
        workers = Pool(function, processes)
    else:
        yield from map(function, items)
        return
    try:
        yield from in_order(workers, items)
    finally:
        workers.end()


def in_order(
    workers: "Cluster[Item, Result] | Pool[Item, Result]", items: Iterable[Item]
) -> Iterator[Result]:
    """The result for each item, in order. Few items are in memory at a time."""
    waiting = 0
    for item in items:
        workers.submit(item)
        waiting += 1
        if waiting > workers.at_once:
            yield workers.result()
            waiting -= 1
    for _ in range(waiting):
        yield workers.result()


class Pool(Generic[Item, Result]):
    """Processes of this machine, each with an item, while one more item waits."""

    def __init__(self, function: Callable[[Item], Result], processes: int) -> None:
        self.at_once = processes
        self._function = function
        self._start = partial(ProcessPoolExecutor, processes, initializer=_leave_interrupts_alone)
        self._pool = self._start()
        self._waiting = deque[tuple[Item, Future[Result]]]()
        self._deaths = 0

    def submit(self, item: Item) -> None:
        """Let a process compute the function for one more item."""
        try:
            future = self._pool.submit(self._function, item)
        except BrokenProcessPool:
            self._start_again()
            future = self._pool.submit(self._function, item)
        self._waiting.append((item, future))

    def result(self) -> Result:
        """The first result that has not been asked for. Raises what the function has raised."""
        while True:
            try:
                result = self._waiting[0][1].result()
            except BrokenProcessPool:
                self._start_again()
            else:
                self._waiting.popleft()
                self._deaths = 0
                return result

    def end(self) -> None:
        """End the processes once they have done what they are at."""
        self._pool.shutdown(cancel_futures=True)

    def _start_again(self) -> None:
        """A pool of which one process has died computes nothing any more."""
        self._deaths += 1
        if self._deaths > DEATHS:
            raise UserError(
                "a process was ended from outside {count} times, perhaps for want of memory; set"
                " prepare.processes lower",
                count=self._deaths,
            )
        self.end()
        self._pool = self._start()
        self._waiting = deque(
            (item, future)
            if future.done() and not isinstance(future.exception(), BrokenProcessPool)
            else (item, self._pool.submit(self._function, item))
            for item, future in self._waiting
        )


def _leave_interrupts_alone() -> None:
    """Ctrl-C is for the parent, which then ends its workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
