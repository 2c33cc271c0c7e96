"""The most memory that a program and all processes that it starts use together."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

import psutil

INTERVAL = 0.1
"""Seconds between two looks."""


@dataclass
class Peak:
    """The most memory so far, in MiB. What processes share is counted once.

    `own` leaves out pages of files, which the system drops and reads again when memory is short:
    programs, libraries, and data that is mapped into memory.
    """

    mebibytes: float = 0.0
    own: float = 0.0


@contextmanager
def watched() -> Iterator[Peak]:
    """Watch the children of this process while the block runs.

    The sum is that of proportional set sizes (https://man7.org/linux/man-pages/man5/proc.5.html).
    """
    peak, ended = Peak(), Event()

    def watch() -> None:
        while not ended.wait(INTERVAL):
            sizes = [_sizes(process) for process in _children()]
            peak.mebibytes = max(peak.mebibytes, sum(each.get("Pss", 0.0) for each in sizes))
            own = sum(each.get("Pss_Anon", 0.0) + each.get("Pss_Shmem", 0.0) for each in sizes)
            peak.own = max(peak.own, own)

    thread = Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()


def _children() -> list[psutil.Process]:
    return list(psutil.Process().children(recursive=True))


def _sizes(process: psutil.Process) -> dict[str, float]:
    """MiB by the names of /proc/PID/smaps_rollup; none if the process has ended."""
    try:
        text = Path(f"/proc/{process.pid}/smaps_rollup").read_text(encoding="utf-8")
    except OSError:
        return {}
    found = re.findall(r"^(\w+): +(\d+) kB$", text, re.MULTILINE)
    return {name: int(size) / 2**10 for name, size in found}
