"""Files and folders that take the place of the old ones when all is written, and not before."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO


@contextmanager
def replaced_file(path: Path) -> Iterator[TextIO]:
    """A file to write, UTF-8 with LF, that takes the place of `path` if the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with new.open("w", encoding="utf-8", newline="\n") as file:
            yield file
            synchronize(file)
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


@contextmanager
def replaced_folder(path: Path) -> Iterator[Path]:
    """An empty folder to fill, which takes the place of `path` if the block ends well.

    Nothing of the old folder is left: the file of a source that is gone goes with it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    # A process that was killed while it wrote has left its own.
    shutil.rmtree(new, ignore_errors=True)
    try:
        new.mkdir()
    except OSError as error:
        # The user knows the output, not the folder that stands in for it.
        raise OSError(error.errno, error.strerror, str(path)) from None
    try:
        yield new
        if path.exists():
            shutil.rmtree(path)
        new.rename(path)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def synchronize(file: TextIO) -> None:
    """Bring what was written onto the disk, so that a power cut does not leave an empty file."""
    file.flush()
    os.fsync(file.fileno())
