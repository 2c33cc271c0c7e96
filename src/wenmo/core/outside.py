"""Reading files that come from outside: within bounded memory, each fault in one line.

Models, raw texts and prompts are downloaded from strangers. A file is opened only if it is a
regular one, and is told if it changes while it is read. JSON is bounded in size, depth and the
digits of its integers, so that whatever handles its values later meets none that breaks it.
"""

import json
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, AnyStr, BinaryIO

from wenmo.core.errors import UserError
from wenmo.core.language import gettext

MIB = 2**20

LONGEST_LINE = 64 * MIB
"""Of rows, in bytes; of CSV fields, in characters. A long book has half of it."""

LARGEST_TEXT = 128 * MIB
"""Of a file that is read as a whole (bytes)."""

LARGEST_JSON = 256 * MIB
"""Of a model's JSON file (bytes); tokenizers of 256,000 tokens take 35 MB."""

DEEPEST_JSON = 64
"""Levels of lists and objects within each other; serde_json, which tokenizers read by, has 128."""

MOST_DIGITS = 1000
"""Of an integer; Python refuses 4,300, and takes long at them."""


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """A regular file, open for reading bytes.

    Raises UserError for a FIFO, device or folder, and if the file is not what it was at the end.
    """
    # Opening a FIFO waits for a writer without O_NONBLOCK.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
        before = os.fstat(file.fileno())
        if not stat.S_ISREG(before.st_mode):
            raise UserError("{path}: no regular file", path=path)
        yield file
        after = os.fstat(file.fileno())
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise UserError("{path}: changed while it was read; run again", path=path)


def read_bytes(path: Path, most: int = LARGEST_TEXT) -> bytes:
    """The content of a file. Raises UserError as `opened` does, and for more than `most` bytes."""
    with opened(path) as file:
        content = file.read(most + 1)
        if len(content) > most:
            raise UserError(
                "{path}: larger than {size} MiB; split it into several files",
                path=path,
                size=most // MIB,
            )
        return content


def bounded_lines(
    file: IO[AnyStr], path: Path, refuse: Callable[[UserError], None]
) -> Iterator[tuple[int, AnyStr]]:
    """(number, line) for each line with its end.

    A line beyond LONGEST_LINE is handed to `refuse` and passed over.
    """
    number = 0
    while line := file.readline(LONGEST_LINE + 1):
        number += 1
        if len(line) <= LONGEST_LINE:
            yield number, line
            continue
        refuse(
            UserError(
                "{path}:{number}: a line longer than {size} MiB",
                path=path,
                number=number,
                size=LONGEST_LINE // MIB,
            )
        )
        end = b"\n" if isinstance(line, bytes) else "\n"
        while line and not line.endswith(end):
            line = file.readline(MIB)


def _integer(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise ValueError(
            gettext(
                "an integer of {count} digits; {most} are read", count=len(digits), most=MOST_DIGITS
            )
        )
    return int(digits)


DECODER = json.JSONDecoder(parse_int=_integer)
"""Raises what `json_fault` words."""


def parse_json(content: bytes | str) -> Any:
    """The value of a JSON text. Raises ValueError with the fault in one line."""
    try:
        text = content if isinstance(content, str) else content.decode("utf-8-sig")
        value = DECODER.decode(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(json_fault(error)) from None
    # Looking through every value takes as long as decoding, and few texts have so many brackets.
    if text.count("[") + text.count("{") > DEEPEST_JSON:
        refuse_depth(value)
    return value


def refuse_depth(value: Any) -> None:
    """Raise ValueError if a value of JSON is nested deeper than DEEPEST_JSON."""
    level = [value]
    for _ in range(DEEPEST_JSON):
        within = [each for each in level if isinstance(each, list | dict)]
        if not within:
            return
        level = [
            item
            for each in within
            for item in (each.values() if isinstance(each, dict) else each)
            if isinstance(item, list | dict)
        ]
    if level:
        raise ValueError(_too_deep())


def json_fault(error: Exception) -> str:
    """What is wrong with a JSON text, from what its decoding has raised."""
    match error:
        case RecursionError():
            return _too_deep()
        case json.JSONDecodeError(lineno=1):
            return gettext(
                "not JSON: {reason} at column {column}",
                reason=gettext(error.msg),
                column=error.colno,
            )
        case json.JSONDecodeError():
            return gettext(
                "not JSON: {reason} at line {line} column {column}",
                reason=gettext(error.msg),
                line=error.lineno,
                column=error.colno,
            )
        case UnicodeDecodeError():
            return gettext("not UTF-8: {reason}", reason=gettext(error.reason))
        case _:
            return str(error)


def read_json(path: Path, most: int = LARGEST_JSON) -> Any:
    """The value in a JSON file. Raises UserError that opens with the path."""
    content = read_bytes(path, most)
    try:
        return parse_json(content)
    except ValueError as error:
        raise UserError("{place}: {error}", place=path, error=error) from None


def read_json_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file. Raises UserError that opens with the path."""
    content = read_json(path)
    if not isinstance(content, dict):
        raise UserError(
            "{place}: expected an object, found {kind}", place=path, kind=type(content).__name__
        )
    return content


def _too_deep() -> str:
    return gettext("JSON nested more than {levels} deep", levels=DEEPEST_JSON)
