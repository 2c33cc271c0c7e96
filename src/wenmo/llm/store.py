"""Every answer that was paid for, kept by what was asked: the same question is never paid twice.

The store lies outside the repository and outside DVC, so that it outlives experiments, branches
and clones. It is one SQLite file in WAL mode: safe with several processes, and after a kill it
holds every answer that had arrived.
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
"""Environment variable with the path of the file, if it is not to lie in the user's cache."""

PATIENCE = 60
"""Seconds to wait for another process that is writing."""

IN_MEMORY = Path(":memory:")
"""SQLite's name for a store that is gone with the process."""

Request = dict[str, Any]
"""The body of a chat completion: model, messages and sampling."""


@dataclass(frozen=True)
class Reply:
    """What an endpoint answered; `finish_reason` is `stop`, `length` or its own word."""

    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int


def store_path() -> Path:
    """Where the answers are kept."""
    folder = Path(platformdirs.user_cache_dir("wenmo", appauthor=False))
    return Path(os.environ.get(LOCATION) or folder / "answers.sqlite")


def request_key(request: Request) -> str:
    """sha256 of the complete request body, the model included."""
    canonical = json.dumps(request, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


class Store:
    """The answers in one file. Raises UserError where it cannot be opened."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Each statement is its own transaction: an answer is on disk when `put` returns.
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
        """Write-ahead logging. SQLite itself doesn't wait while another process sets it too."""
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
        """The answer to exactly this request, if there is one."""
        found = self.connection.execute(
            "SELECT text, finish_reason, prompt_tokens, completion_tokens FROM answers"
            " WHERE request = ?",
            (request_key(request),),
        ).fetchone()
        return Reply(*found) if found else None

    def put(self, key: str, model: str, reply: Reply) -> None:
        """Keep an answer; the first one to a request stays. Raises UserError on a full disk."""
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
