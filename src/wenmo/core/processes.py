"""Rank and number of processes, as torchrun and accelerate launch set them, and peak memory."""

import os
import re
import resource
import sys
from pathlib import Path

RANK = int(os.environ.get("RANK", "0"))
PROCESSES = int(os.environ.get("WORLD_SIZE", "1"))
IS_MAIN_PROCESS = RANK == 0
"""Only the main process writes files and speaks to the user."""


def peak_mebibytes() -> int:
    """The most memory that this process has used."""
    # Linux's getrusage begins with what the parent had when it started this process.
    status = Path("/proc/self/status")
    if status.is_file():
        (peak,) = re.findall(r"^VmHWM:\s+(\d+) kB$", status.read_text(), re.MULTILINE)
        return round(int(peak) / 2**10)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / 2**20 if sys.platform == "darwin" else peak / 2**10)
