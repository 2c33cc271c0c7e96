"""A disk that is full or may not be written to, in whatever words it is told."""

import errno
import os
import re
from pathlib import Path
from tempfile import TemporaryFile

NO_PLACE_TO_WRITE = (errno.EACCES, errno.EDQUOT, errno.ENOSPC, errno.EROFS)
WORDS_FOR_A_FULL_DISK = (
    "No usable temporary directory|database or disk is full"
    "|PytorchStreamWriter failed|enforce fail at inline_container"
)
A_DISK = "the disk of this folder or of temporary files"
"""Where no file was named."""
ROOM_FOR_DVC = 2**20
"""Bytes that its records of a stage take, some times over."""


def refusal_to_write(error: Exception) -> str | None:
    """What a disk said that is full or may not be written to, if that is what went wrong.

    Libraries raise exceptions of their own, of which only the words tell: those written in Rust
    (safetensors, tokenizers) name the system's error number, torch.save where it stumbled.
    """
    if isinstance(error, OSError) and error.errno in NO_PLACE_TO_WRITE:
        return f"{error.filename or A_DISK}: {error.strerror}"
    found = re.search(r"\(os error (\d+)\)", str(error))
    if found and int(found[1]) in NO_PLACE_TO_WRITE:
        return f"{A_DISK}: {os.strerror(int(found[1]))}"
    if re.search(WORDS_FOR_A_FULL_DISK, str(error)):
        return f"{A_DISK} may be full: {str(error).splitlines()[0]}"
    return None


def try_disk() -> None:
    """Raise OSError if DVC could not enter a result: on a full disk it breaks its own records."""
    with TemporaryFile(dir=Path.cwd()) as file:
        file.write(bytes(ROOM_FOR_DVC))
