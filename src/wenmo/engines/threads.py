"""Iterators that work at the same time, each in a thread of its own."""

import os
from collections.abc import Iterator, Sequence
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any, TypeVar

import torch

Item = TypeVar("Item")


def threads_for(device: torch.device, wanted: int) -> int:
    """How many threads share a model: so many, or one a core for 0; on a GPU it is one.

    torch's own threads for a single operation, of which the stages allow one, take their part of
    the cores.
    """
    if device.type != "cpu":
        return 1
    return wanted or max(1, (os.cpu_count() or 1) // torch.get_num_threads())


def at_once(iterators: Sequence[Iterator[Item]], halted: Event) -> Iterator[Item]:
    """What the iterators yield, as it comes. The first error of one of them is raised here.

    Whoever stops reading, by an error or Ctrl-C, has `halted` set and waits until each iterator has
    come to its next item; they should look at it.
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
