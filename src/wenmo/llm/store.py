"""The answers of endpoints by request: the same request is never paid for twice.

The store lies outside the repository and outside DVC, so that experiments, branches and clones
share it. It is one SQLite file in WAL mode: several processes may use it, and after a kill it holds
every answer that had arrived.
"""

import hashlib
import json
import os
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import platformdirs

from wenmo.core.errors import UserError

LOCATION = "WENMO_STORE"
"""Environment variable with the path of the file; the default is in the user's cache folder."""

PATIENCE = 60
"""Longest wait for a lock that another process holds (seconds)."""

IN_MEMORY = Path(":memory:")
"""SQLite's name for a store in memory, which ends with the process."""

Request = dict[str, Any]
"""The body of a chat completion: model, messages and sampling."""


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


def request_key(request: Request) -> str:
    """sha256 of the complete request body, the model included."""
    canonical = json.dumps(request, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


class Store:
    """The answers in one file. Raises UserError if it cannot be opened."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Each statement is a transaction of its own: an answer is on disk when `put` returns.
            self.connection = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)
            self._set_journal()
            self.connection.execute("PRAGMA synchronous = FULL")
            self.connection.execute(
                "CREATE TABLE IF NOT EXISTS answers (request TEXT PRIMARY KEY, model TEXT NOT NULL,"
                " text TEXT NOT NULL, finish_reason TEXT NOT NULL, prompt_tokens INTEGER NOT NULL,"
                " completion_tokens INTEGER NOT NULL) WITHOUT ROWID"
            )
        except (OSError, sqlite3.Error) as error:
            raise UserError(f"{path}: {error}; set {LOCATION} to another file") from None

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

    def get(self, request: Request) -> Reply | None:
        """The answer to this request, if there is one."""
        found = self.connection.execute(
            "SELECT text, finish_reason, prompt_tokens, completion_tokens FROM answers"
            " WHERE request = ?",
            (request_key(request),),
        ).fetchone()
        return Reply(*found) if found else None

    def put(self, key: str, model: str, reply: Reply) -> None:
        """Store an answer; the first answer to a request stays. Raises UserError on a full disk."""
        try:
            self.connection.execute(
                "INSERT OR IGNORE INTO answers VALUES (?, ?, ?, ?, ?, ?)",
                (
                    key,
                    model,
                    reply.text,
                    reply.finish_reason,
                    reply.prompt_tokens,
                    reply.completion_tokens,
                ),
            )
        except sqlite3.OperationalError as error:
            raise UserError(
                f"{self.path}: {error}; free some space, or set {LOCATION} to another file, and run"
                " it again: the answers so far are kept"
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()
