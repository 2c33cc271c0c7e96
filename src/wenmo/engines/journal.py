"""A file of completions, so that a killed generation continues where it stopped.

A journal is no output of the pipeline. Its name is a digest of all that a completion depends on
besides its prompt, so that every completion in it can be reused.
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
        """Append a completion; when this returns, it survives the end of the process."""
        self.kept[completion.id] = completion
        with self.path.open("ab") as file:
            file.write(json.dumps(asdict(completion), ensure_ascii=False).encode() + b"\n")

    def _read(self) -> None:
        """Read the completions and truncate a last line that a kill left incomplete."""
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
    """Remove a task's journals, so that the next generation starts anew."""
    shutil.rmtree(folder, ignore_errors=True)
