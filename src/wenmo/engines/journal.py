"""Completions as they come, so that generation that was killed goes on where it stood.

A journal lies outside the pipeline's outputs and is named by a digest of all that a completion
depends on beside its prompt. After the last line was written whole, nothing is asked again.
"""

import json
import shutil
from dataclasses import asdict
from pathlib import Path

from wenmo.engines.engine import Completion

JOURNALS = Path("journals")


class Journal:
    """The completions in `folder`/<digest>.jsonl, by the ids of their prompts."""

    def __init__(self, folder: Path, digest: str) -> None:
        self.path = folder / f"{digest}.jsonl"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.kept: dict[str, Completion] = {}
        if self.path.exists():
            self._read()

    def put(self, completion: Completion) -> None:
        """Keep a completion; it outlives the process when this returns."""
        self.kept[completion.id] = completion
        with self.path.open("ab") as file:
            file.write(json.dumps(asdict(completion), ensure_ascii=False).encode() + b"\n")

    def _read(self) -> None:
        """Take in what was written; a line that a kill cut short would spoil the next one."""
        whole = 0
        with self.path.open("r+b") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    break
                completion = Completion(**json.loads(line))
                self.kept[completion.id] = completion
                whole += len(line)
            file.truncate(whole)


def finish(folder: Path) -> None:
    """Remove a task's journals: the next generation starts afresh."""
    shutil.rmtree(folder, ignore_errors=True)
