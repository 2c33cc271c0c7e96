"""Which of how many processes this is, as torchrun and accelerate launch tell their children."""

import os

RANK = int(os.environ.get("RANK", "0"))
PROCESSES = int(os.environ.get("WORLD_SIZE", "1"))
IS_MAIN_PROCESS = RANK == 0
"""Whether this one writes the files and speaks to the user."""
