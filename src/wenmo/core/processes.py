"""Rank and number of processes, as torchrun and accelerate launch set them, and memory."""

import ctypes
import os
import platform
import re
import resource
import sys
from pathlib import Path

RANK = int(os.environ.get("RANK", "0"))
PROCESSES = int(os.environ.get("WORLD_SIZE", "1"))
IS_MAIN_PROCESS = RANK == 0
"""Only the main process writes files and speaks to the user."""

_MMAP_THRESHOLD = -3
_LARGE = 2**17
"""Bytes from which a block of memory is mapped by itself: glibc's own bound at its start."""


def peak_mebibytes() -> int:
    """The most memory that this process has used."""
    # Linux's getrusage begins with what the parent had when it started this process.
    status = Path("/proc/self/status")
    if status.is_file():
        (peak,) = re.findall(r"^VmHWM:\s+(\d+) kB$", status.read_text(), re.MULTILINE)
        return round(int(peak) / 2**10)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / 2**20 if sys.platform == "darwin" else peak / 2**10)


def return_freed_texts() -> None:
    """Let this process, and those it forks, give the memory of a long text back once it is freed.

    glibc raises its bound to the largest block that was freed, and cuts later texts out of a heap
    whose holes grow with their number (https://man7.org/linux/man-pages/man3/mallopt.3.html).
    """
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, _LARGE)
