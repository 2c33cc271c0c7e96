"""Readers of raw files: JSON arrays, CSV and plain text, each row with its place.

A malformed row is a UserError `path:line: what is wrong`. It stops the reading, or it is skipped
and counted if `prepare.skip_malformed` is set.
"""

import codecs
import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wenmo.core.errors import UserError

TEST_FILE = "test.jsonl"
Located = Iterator[tuple[str, dict[str, Any]]]
"""Rows, each with its place as `path:line`."""

# UTF-8 cannot encode half of a surrogate pair, and many programs end a text at a NUL.
_UNWRITABLE = re.compile("[\x00\ud800-\udfff]")


class MalformedRows:
    """What happens to malformed rows: the first one is raised, or all are skipped and counted."""

    def __init__(self, skip: bool = False) -> None:
        self.skip = skip
        self.count = 0

    def refuse(self, error: UserError) -> None:
        """Raise the error unless malformed rows are to be skipped."""
        if not self.skip:
            raise error
        self.count += 1


def raw_files(folder: Path, *patterns: str) -> list[Path]:
    """The raw files of a task in order of name. Raises UserError if there is none."""
    found = sorted({path for pattern in patterns for path in folder.glob(pattern)})
    files = [path for path in found if path.name != TEST_FILE and path.is_file()]
    if not files:
        raise UserError(f"{folder}: no raw texts; expected {' or '.join(patterns)}")
    return files


def read_text(path: Path) -> str:
    """The text of a file in UTF-8, GB18030 (which covers GBK and GB2312) or UTF-16.

    UTF-16 needs a byte-order mark; UTF-8 may have one. GB18030 is tried after UTF-8, since Chinese
    text in GB18030 is hardly ever valid UTF-8. Raises UserError for any other encoding.
    """
    content = path.read_bytes()
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encodings = ["utf-16"]
    elif content.startswith(codecs.BOM_UTF8):
        encodings = ["utf-8-sig"]
    else:
        encodings = ["utf-8", "gb18030"]
    for encoding in encodings:
        try:
            return content.decode(encoding)
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
    raise UserError(f"{path}:{line}: not {' or '.join(encodings)}; save the file as UTF-8")


def read_json_array(path: Path, malformed: MalformedRows) -> Located:
    """The objects of an array, with the lines on which they start.

    Raises UserError for wrong syntax of the array, even if malformed rows are to be skipped, since
    the rows after it cannot be found.
    """
    text = _utf8(path)
    decoder = json.JSONDecoder()
    at = _skip(text, 0, " \t\r\n")
    if text[at : at + 1] != "[":
        raise UserError(f"{path}:1: expected a JSON array of objects")
    at = _skip(text, at + 1, " \t\r\n")
    line, counted = 1, 0
    while text[at : at + 1] != "]":
        line, counted = line + text.count("\n", counted, at), at
        try:
            content, at = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            raise UserError(f"{path}:{error.lineno}: not JSON: {error.msg}") from None
        if isinstance(content, dict):
            yield f"{path}:{line}", content
        else:
            kind = type(content).__name__
            malformed.refuse(UserError(f"{path}:{line}: expected an object, found {kind}"))
        at = _skip(text, at, " \t\r\n")
        if text[at : at + 1] not in (",", "]"):
            line += text.count("\n", counted, at)
            raise UserError(f"{path}:{line}: not JSON: expected ',' or ']'")
        at = _skip(text, at, ", \t\r\n")


def read_csv(path: Path, columns: tuple[str, ...], malformed: MalformedRows) -> Located:
    """The named columns of each row.

    Raises UserError for a missing column or wrong quotes, even if malformed rows are to be skipped,
    since the rows after it cannot be found.
    """
    reader = csv.DictReader(io.StringIO(_utf8(path), newline=""), strict=True)
    line = 1
    try:
        missing = [column for column in columns if column not in (reader.fieldnames or ())]
        if missing:
            raise UserError(f"{path}:1: no column {missing[0]!r}; found {reader.fieldnames or []}")
        line = reader.line_num + 1
        for content in reader:
            if None in content or None in content.values():
                count = len(reader.fieldnames or ())
                malformed.refuse(UserError(f"{path}:{line}: expected {count} fields in the row"))
            else:
                yield f"{path}:{line}", {column: content[column] for column in columns}
            line = reader.line_num + 1
    except csv.Error as error:
        raise UserError(f"{path}:{line}: not CSV: {error}") from None


def text_fields(content: dict[str, Any], keys: tuple[str, ...], place: str) -> tuple[str, ...]:
    """The strings at `keys`. Raises UserError with the place if one cannot be used."""
    for key in keys:
        if key not in content:
            raise UserError(f"{place}: key {key!r} is missing; expected {', '.join(keys)}")
        if not isinstance(content[key], str):
            raise UserError(f"{place}: {key!r} is {content[key]!r}; expected a string")
        check_writable(content[key], f"{place}: {key!r}")
    return tuple(content[key] for key in keys)


def check_writable(text: str, place: str) -> None:
    """Raise UserError for a NUL character or half of a surrogate pair."""
    found = _UNWRITABLE.search(text)
    if found:
        name = "a NUL character" if found[0] == "\0" else f"half a character ({found[0]!r})"
        raise UserError(f"{place} holds {name} at position {found.start()}")


def _utf8(path: Path) -> str:
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path}:{line}: not UTF-8: {error.reason}") from None


def _skip(text: str, at: int, characters: str) -> int:
    while at < len(text) and text[at] in characters:
        at += 1
    return at
