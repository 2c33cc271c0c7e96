"""What a process knows of itself: which of how many it is, and the memory that it has used.

torchrun and accelerate launch tell their children the former.
"""

import os
import resource
import sys

RANK = int(os.environ.get("RANK", "0"))
PROCESSES = int(os.environ.get("WORLD_SIZE", "1"))
IS_MAIN_PROCESS = RANK == 0
"""Whether this one writes the files and speaks to the user."""


def peak_mebibytes() -> int:
    """The most memory that this process has used."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / 2**20 if sys.platform == "darwin" else peak / 2**10)
