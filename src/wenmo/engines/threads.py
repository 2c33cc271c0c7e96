"""Running several iterators at the same time, each in a thread of its own."""

import os
from collections.abc import Iterator, Sequence
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any, TypeVar

import torch

Item = TypeVar("Item")


def thread_count(device: torch.device, wanted: int) -> int:
    """The number of threads that share a model: `wanted`, or for 0 one per core; 1 on a GPU.

    If torch itself uses several threads per operation (in a stage it is one), the number of cores
    is divided by theirs.
    """
    if device.type != "cpu":
        return 1
    return wanted or max(1, (os.cpu_count() or 1) // torch.get_num_threads())


def run_in_threads(iterators: Sequence[Iterator[Item]], halted: Event) -> Iterator[Item]:
    """The items of all iterators, as they come. The first error of an iterator is raised here.

    When the caller stops reading, because of an error, Ctrl-C or `close`, `halted` is set, and the
    threads end after their iterators' next items. Iterators should check it to end sooner.
    """
    if len(iterators) == 1:
        yield from iterators[0]
        return
    results: SimpleQueue[tuple[str, Any]] = SimpleQueue()

    def run(iterator: Iterator[Item]) -> None:
        try:
            for item in iterator:
                results.put(("item", item))
                if halted.is_set():
                    return
            results.put(("end", None))
        except BaseException as error:
            results.put(("error", error))

    threads = [Thread(target=run, args=(iterator,)) for iterator in iterators]
    for thread in threads:
        thread.start()
    try:
        running = len(threads)
        while running:
            kind, content = results.get()
            if kind == "error":
                raise content
            if kind == "end":
                running -= 1
            else:
                yield content
    finally:
        halted.set()
        for thread in threads:
            thread.join()
