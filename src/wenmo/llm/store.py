"""The answers of endpoints by request: the same request is never paid for twice.

The store lies outside the repository and outside DVC, so that experiments, branches and clones
share it. It is one SQLite file in WAL mode: several processes may use it, and after a kill it holds
every answer that had arrived.
"""

import hashlib
import json
import os
import sqlite3
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Self

import platformdirs

from wenmo.core.errors import UserError
from wenmo.core.language import N_, gettext

LOCATION = "WENMO_STORE"
"""Environment variable with the path of the file; the default is in the user's cache folder."""

PATIENCE = 60
"""Longest wait for a lock that another process holds (seconds)."""

TOGETHER = 500_000
"""Answers that are sorted at a time: enough that many of them share a page of the file."""

IN_MEMORY = Path(":memory:")
"""SQLite's name for a store in memory, which ends with the process."""


class Request(dict[str, Any]):
    """The body of a chat completion: model, messages and sampling. Nothing changes it later."""

    @cached_property
    def key(self) -> str:
        """sha256 of the complete body, the model included."""
        canonical = json.dumps(self, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


@dataclass(frozen=True)
class Reply:
    """An endpoint's answer; `finish_reason` is `stop`, `length` or a word of the endpoint's own."""

    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int


def store_path() -> Path:
    """The path of the store."""
    folder = Path(platformdirs.user_cache_dir("wenmo", appauthor=False))
    return Path(os.environ.get(LOCATION) or folder / "answers.sqlite")


COLUMNS = {
    "request": "TEXT",
    "model": "TEXT",
    "text": "TEXT",
    "finish_reason": "TEXT",
    "prompt_tokens": "INTEGER",
    "completion_tokens": "INTEGER",
}


class Store:
    """The answers in one file, which its owner alone can read.

    Raises UserError if the file cannot be opened, is none of answers, is damaged, or is kept locked
    by another process.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._errors_in_one_line():
            if path != IN_MEMORY:
                _make_private(path)
            # Each statement is a transaction of its own: an answer is on disk when `put` returns.
            self.connection = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)
            try:
                self._refuse_other_tables()
                self._set_journal()
                self.connection.execute("PRAGMA synchronous = FULL")
                self.connection.execute(
                    "CREATE TABLE IF NOT EXISTS answers (request TEXT PRIMARY KEY, model TEXT NOT"
                    " NULL, text TEXT NOT NULL, finish_reason TEXT NOT NULL, prompt_tokens INTEGER"
                    " NOT NULL, completion_tokens INTEGER NOT NULL) WITHOUT ROWID"
                )
            except BaseException:
                self.connection.close()
                raise

    def _refuse_other_tables(self) -> None:
        """Raise UserError for a database of another program or of a later version."""
        kinds = dict(self.connection.execute("SELECT name, type FROM sqlite_schema"))
        columns = {
            name: type_
            for _, name, type_, *_ in self.connection.execute("PRAGMA table_info(answers)")
        }
        if kinds and (kinds.get("answers") != "table" or columns != COLUMNS):
            raise UserError(
                "{path}: no store of answers, or one of another version of wenmo; set {variable}"
                " to another file",
                path=self.path,
                variable=LOCATION,
            )

    def _set_journal(self) -> None:
        """Set write-ahead logging. SQLite does not wait while another process sets it."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self.connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)

    @contextmanager
    def _errors_in_one_line(self) -> Iterator[None]:
        """What SQLite or the system says about the file, with the way out."""
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                complaint = N_(
                    "{path}: another process has kept it locked for {seconds} s; wait until that"
                    " one ends (`fuser {path}` names it), or set {variable} to another file; the"
                    " answers so far are kept"
                )
            elif code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                complaint = N_(
                    "{path}: damaged, or no SQLite file ({error}); `sqlite3 {path} .recover` saves"
                    " what can be read; move it away, or set {variable} to another file"
                )
            elif code == sqlite3.SQLITE_FULL:
                complaint = N_(
                    "{path}: {error}; free some space, or set {variable} to another file, and run"
                    " it again: the answers so far are kept"
                )
            else:
                complaint = N_("{path}: {error}; set {variable} to another file")
            raise UserError(
                complaint, path=self.path, error=error, seconds=PATIENCE, variable=LOCATION
            ) from None

    def get(self, request: Request) -> Reply | None:
        """The answer to this request, if there is one. Raises UserError for a damaged file."""
        with self._errors_in_one_line():
            found = self.connection.execute(
                "SELECT text, finish_reason, prompt_tokens, completion_tokens FROM answers"
                " WHERE request = ?",
                (request.key,),
            ).fetchone()
        if found is None:
            return None
        if [type(each) for each in found] != [str, str, int, int]:
            raise UserError(
                "{path}: an answer that wenmo did not write (it holds {types}); move the file"
                " away, or set {variable} to another file",
                path=self.path,
                types=", ".join(type(each).__name__ for each in found),
                variable=LOCATION,
            )
        return Reply(*found)

    def put(self, key: str, model: str, reply: Reply) -> None:
        """Store an answer; the first answer to a request stays. Raises UserError on a full disk."""
        with self._errors_in_one_line():
            self.connection.execute(
                "INSERT OR IGNORE INTO answers VALUES (?, ?, ?, ?, ?, ?)", _row(key, model, reply)
            )

    def put_many(self, answers: Iterable[tuple[str, str, Reply]]) -> None:
        """Store answers as `put` does, also those that come before an exception.

        They are sorted first, on disk: keys are random, and each of them alone would have a page of
        its own read and written.
        """
        waiting = iter(answers)
        while self._put_sorted(islice(waiting, TOGETHER)):
            pass

    def _put_sorted(self, answers: Iterable[tuple[str, str, Reply]]) -> int:
        """Store answers in the order of their keys; returns how many came."""
        came = 0
        with self._errors_in_one_line():
            self.connection.execute("CREATE TEMP TABLE arrived AS SELECT * FROM answers LIMIT 0")
            self.connection.execute("BEGIN")
        try:
            for answer in answers:
                with self._errors_in_one_line():
                    self.connection.execute(
                        "INSERT INTO arrived VALUES (?, ?, ?, ?, ?, ?)", _row(*answer)
                    )
                came += 1
        finally:
            with self._errors_in_one_line():
                self.connection.execute("COMMIT")
                self.connection.execute(
                    "INSERT OR IGNORE INTO answers SELECT * FROM arrived ORDER BY request, rowid"
                )
                self.connection.execute("DROP TABLE arrived")
        return came

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()


def _row(key: str, model: str, reply: Reply) -> tuple[str | int, ...]:
    """The columns of an answer."""
    of_reply = (reply.text, reply.finish_reason, reply.prompt_tokens, reply.completion_tokens)
    return key, model, *of_reply


def _make_private(path: Path) -> None:
    """Make the file, and the folder if there is none, for the owner alone.

    SQLite gives the files beside it the same mode. A folder that is there may be shared.
    """
    path.parent.parent.mkdir(parents=True, exist_ok=True)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))
    # It is not opened: closing it again would drop the locks of this process.
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise OSError(gettext("no regular file"))
    if found.st_uid == os.geteuid() and found.st_mode & 0o077:
        path.chmod(0o600)
