"""The most memory that a program and all processes that it starts use together."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Thread

import psutil

INTERVAL = 0.1
"""Seconds between two looks."""


@dataclass
class Peak:
    """The most memory so far, in MiB. What processes share is counted once."""

    mebibytes: float = 0.0


@contextmanager
def watched() -> Iterator[Peak]:
    """Watch the children of this process while the block runs.

    The sum is that of proportional set sizes (https://man7.org/linux/man-pages/man5/proc.5.html).
    """
    peak, ended = Peak(), Event()

    def watch() -> None:
        while not ended.wait(INTERVAL):
            peak.mebibytes = max(peak.mebibytes, sum(map(_mebibytes, _children())))

    thread = Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()


def _children() -> list[psutil.Process]:
    return list(psutil.Process().children(recursive=True))


def _mebibytes(process: psutil.Process) -> float:
    try:
        return float(process.memory_full_info().pss / 2**20)
    except psutil.Error:
        # It has ended since it was listed.
        return 0.0
