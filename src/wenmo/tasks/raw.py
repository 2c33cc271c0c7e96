"""Readers of raw files: JSON, JSON Lines, CSV and Parquet, each row with its place.

Rows are read as they are asked for, so that a file may be larger than the memory. A malformed row
is a UserError `path:line: what is wrong`. It stops the reading, or it is skipped and counted if
`prepare.skip_malformed` is set.
"""

import codecs
import csv
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from io import TextIOWrapper
from pathlib import Path
from typing import Any, TextIO

from wenmo.core.encoding import damaged_utf8, text_encoding
from wenmo.core.errors import UserError
from wenmo.core.json_text import JsonText
from wenmo.core.language import N_, gettext
from wenmo.core.outside import LONGEST_LINE, MIB, bounded_lines, opened
from wenmo.core.records import read_json_lines, stop

TEST_FILE = "test.jsonl"
NO_TEXTS = (TEST_FILE, "dataset_info.json", "dataset_infos.json")
"""Files that lie beside raw texts: the prompts for submit.json, and registries of other tools."""

TABLES = ("*.json", "*.jsonl", "*.csv", "*.parquet")
"""The files that `read_table` reads."""

LONGEST_START = 4096
"""Bytes that tell an array from JSON Lines."""

Located = Iterator[tuple[str, dict[str, Any]]]
"""Rows, each with its place as `path:line`."""

# UTF-8 cannot encode half of a surrogate pair, and many programs end a text at a NUL.
_UNWRITABLE = re.compile("[\x00\ud800-\udfff]")

# What parts names of columns by mistake, and what only texts have.
_OTHER_COMMA, _IN_TEXT = re.compile("[，、；;\t|]"), re.compile("[。！？：“”\n]")
_LONGEST_HEADER = 200


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


def raw_files(folder: Path, *patterns: str, deep: bool = False) -> list[Path]:
    """The raw files of a task in order of name, whatever the case of their endings.

    `deep` adds those in folders of the folder. Raises UserError if there is none.
    """
    found = sorted(folder.rglob("*") if deep else folder.iterdir()) if folder.is_dir() else []
    files = [
        path
        for path in found
        if any(fnmatch(path.name.lower(), pattern) for pattern in patterns)
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.name not in NO_TEXTS
        and path.is_file()
    ]
    if not files:
        others = [path.name for path in found if path.is_file() and path.suffix]
        others = [name for name in others if name not in NO_TEXTS and not name.startswith(".")]
        complaint = N_("{folder}: no raw texts; expected {patterns}")
        if others:
            complaint = N_(
                "{folder}: no raw texts; expected {patterns}: save {other} as one of these"
            )
        raise UserError(
            complaint,
            folder=folder,
            patterns=gettext(" or ").join(patterns),
            other=next(iter(others), ""),
        )
    return files


def read_table(path: Path, columns: Collection[str], malformed: MalformedRows) -> Located:
    """The rows of a file of TABLES, whichever of these columns they have.

    A .json file may hold JSON Lines and a .jsonl file an array. Raises UserError as the format's
    own reader does.
    """
    match path.suffix.lower():
        case ".csv":
            return read_csv(path, columns, malformed)
        case ".parquet":
            return read_parquet(path, columns)
        case _ if _is_array(path):
            return read_json_array(path, malformed)
        case _:
            return read_json_lines(path, malformed.refuse)


def read_json_array(path: Path, malformed: MalformedRows) -> Located:
    """The objects of an array, with the lines on which they start.

    Raises UserError for wrong syntax of the array, even if malformed rows are to be skipped, since
    the rows after it cannot be found.
    """
    try:
        with _text(path, "utf-8-sig") as file:
            yield from _objects(JsonText(file, path), malformed)
    except UnicodeDecodeError:
        raise damaged_utf8(path) from None


def read_csv(path: Path, columns: Collection[str], malformed: MalformedRows) -> Located:
    """The rows by column, of which the header should have some of `columns`, the commonest first.

    The encoding may be any that `text_encoding` knows, such as GB18030, in which Excel saves.
    Raises UserError for a missing header, another encoding or wrong quotes, even if malformed rows
    are to be skipped, since the rows after it cannot be found.
    """
    line = 1
    csv.field_size_limit(LONGEST_LINE)  # Python's own limit is shorter than a book.
    try:
        with _text(path, text_encoding(path)) as file:
            lines = (text for _, text in bounded_lines(file, path, stop))
            reader = csv.DictReader(lines, strict=True)
            found = list(reader.fieldnames or ())
            if not {*columns} & {*found}:
                _refuse_text_as_header(path, found, [*columns][:2])
            line = reader.line_num + 1
            for content in reader:
                if None in content or None in content.values():
                    malformed.refuse(
                        UserError(
                            "{path}:{line}: expected {count} fields in the row",
                            path=path,
                            line=line,
                            count=len(found),
                        )
                    )
                else:
                    yield f"{path}:{line}", content
                line = reader.line_num + 1
    except csv.Error as error:
        raise UserError(
            "{path}:{line}: not CSV: {error}", path=path, line=line, error=error
        ) from None
    except UnicodeDecodeError:
        raise damaged_utf8(path) from None


def read_parquet(path: Path, columns: Collection[str]) -> Located:
    """The rows, each with its number instead of a line, as far as they are in these columns.

    Raises UserError for a file that is damaged or has none of the columns.
    https://arrow.apache.org/docs/python/parquet.html
    """
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    number = 0
    try:
        with opened(path) as file, ParquetFile(file) as table:
            wanted = chosen_columns(table.schema_arrow.names, columns, str(path))
            # A file of 3 KB can hold the same long text in each of a thousand rows.
            for row in table.iter_batches(batch_size=1, columns=wanted):
                if row.nbytes > LONGEST_LINE:
                    raise ValueError(
                        gettext("a row longer than {size} MiB", size=LONGEST_LINE // MIB)
                    )
                content = row.to_pylist()[0]
                number += 1
                yield f"{path}: row {number}", content
    except (ArrowException, OSError, ValueError, OverflowError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        reason = str(error).splitlines()[0]
        raise UserError(
            "{path}: not Parquet, after row {number}: {reason}",
            path=path,
            number=number,
            reason=reason,
        ) from None


def chosen_columns(found: list[str], columns: Collection[str], origin: str) -> list[str]:
    """Those of a table's columns that are asked for. Raises UserError if there is none."""
    wanted = [column for column in found if column in columns]
    if not wanted:
        raise UserError(
            "{place}: no column of {columns}; found {found}",
            place=origin,
            columns=", ".join(columns),
            found=found,
        )
    return wanted


def text_fields(content: dict[str, Any], keys: tuple[str, ...], place: str) -> tuple[str, ...]:
    """The strings at `keys`. Raises UserError with the place if one cannot be used."""
    for key in keys:
        if key not in content:
            raise UserError(
                "{place}: key {key!r} is missing; expected {keys}",
                place=place,
                key=key,
                keys=", ".join(keys),
            )
        if not isinstance(content[key], str):
            raise UserError(
                "{place}: {key!r} is {value!r}; expected a string",
                place=place,
                key=key,
                value=content[key],
            )
        check_writable(content[key], gettext("{place}: {key!r}", place=place, key=key))
    return tuple(content[key] for key in keys)


def check_writable(text: str, place: str) -> None:
    """Raise UserError for a NUL character or half of a surrogate pair."""
    found = _UNWRITABLE.search(text)
    if found:
        if found[0] == "\0":
            complaint = N_("{place} holds a NUL character at position {position}")
        else:
            complaint = N_("{place} holds half a character ({half!r}) at position {position}")
        raise UserError(complaint, place=place, half=found[0], position=found.start())


def _refuse_text_as_header(path: Path, found: list[str], names: list[str]) -> None:
    """Raise UserError for a first line of CSV that does not name columns."""
    header, example = "".join(found), ",".join(names)
    if len(found) == 1 and _OTHER_COMMA.search(header) and not _IN_TEXT.search(header):
        raise UserError(
            "{path}:1: one column, {header!r}; put half-width commas between the names of columns:"
            " {example}",
            path=path,
            header=header,
            example=example,
        )
    if _IN_TEXT.search(header) or _OTHER_COMMA.search(header) or len(header) > _LONGEST_HEADER:
        raise UserError(
            "{path}:1: the first line does not name columns; add one above it: {example}",
            path=path,
            example=example,
        )


@contextmanager
def _text(path: Path, encoding: str) -> Iterator[TextIO]:
    with opened(path) as file:
        text = TextIOWrapper(file, encoding=encoding, newline="")
        yield text
        text.detach()  # `opened` looks at the file once more.


def _is_array(path: Path) -> bool:
    """Whether a file of JSON is no JSON Lines: an array, or one object over several lines."""
    with opened(path) as file:
        start = file.read(LONGEST_START).removeprefix(codecs.BOM_UTF8).lstrip()
    return start.startswith(b"[") or start.partition(b"\n")[0].strip() == b"{"


def _objects(text: JsonText, malformed: MalformedRows) -> Located:
    path = text.path
    if text.next_character() != "[":
        raise UserError("{path}:1: expected a JSON array of objects", path=path)
    text.pass_over()
    while text.next_character() != "]":
        place = f"{path}:{text.line}"
        content = text.value()
        if isinstance(content, dict):
            yield place, content
        else:
            kind = type(content).__name__
            malformed.refuse(
                UserError("{place}: expected an object, found {kind}", place=place, kind=kind)
            )
        if text.next_character() == ",":
            text.pass_over()
        elif text.next_character() != "]":
            raise text.fault(gettext("not JSON: expected ',' or ']'"))
