"""Telling a full or read-only disk from other errors, whichever library reports it."""

import errno
import os
import re
from pathlib import Path
from tempfile import TemporaryFile

from wenmo.core.language import N_, gettext
from wenmo.core.system_words import system_words

NO_PLACE_TO_WRITE = (errno.EACCES, errno.EDQUOT, errno.ENOSPC, errno.EROFS)
WORDS_FOR_A_FULL_DISK = (
    "No usable temporary directory|database or disk is full"
    "|PytorchStreamWriter failed|enforce fail at inline_container"
)
A_DISK = N_("the disk of this folder or of temporary files")
"""The place that a message names if the error names no file."""
ROOM_FOR_DVC = 2**20
"""Bytes: several times what DVC's records of one stage take."""


def refusal_to_write(error: Exception) -> str | None:
    """One line about a full or read-only disk, or None if the error is another.

    Libraries raise exceptions of their own, and only their words tell a full disk: those written in
    Rust (safetensors, tokenizers) name the system's error number, and torch.save names the line of
    its C++ source.
    """
    if isinstance(error, OSError) and error.errno in NO_PLACE_TO_WRITE:
        return gettext(
            "{place}: {error}", place=error.filename or gettext(A_DISK), error=system_words(error)
        )
    found = re.search(r"\(os error (\d+)\)", str(error))
    if found and int(found[1]) in NO_PLACE_TO_WRITE:
        said = gettext(os.strerror(int(found[1])))
        return gettext("{place}: {error}", place=gettext(A_DISK), error=said)
    if re.search(WORDS_FOR_A_FULL_DISK, str(error)):
        return gettext(
            "the disk of this folder or of temporary files may be full: {reason}",
            reason=str(error).splitlines()[0],
        )
    return None


def try_disk() -> None:
    """Raise OSError if there is no room for DVC's records, which a full disk would break."""
    with TemporaryFile(dir=Path.cwd()) as file:
        file.write(bytes(ROOM_FOR_DVC))
