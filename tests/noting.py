"""Notes which files a stage opens and which parameters it looks up.

Lies as src/sitecustomize.py beside the code that a test runs: Python loads a module of that name
before any other. Notes go to the file that NOTES names, a line each.
"""

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

NOTES = os.open(os.environ["NOTES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def note(kind: str, what: str) -> None:
    os.write(NOTES, f"{kind} {what}\n".encode(errors="surrogateescape"))


def hear(event: str, arguments: tuple[Any, ...]) -> None:
    """Of `open` and os.open alike: path, mode, flags. https://peps.python.org/pep-0578/"""
    if event != "open" or not isinstance(arguments[0], str | bytes | os.PathLike):
        return
    path, _, flags = arguments
    if not (flags or 0) & (os.O_WRONLY | os.O_CREAT):
        note("file", str(Path(os.fsdecode(path)).absolute()))


class Heard(dict[str, Any]):
    """Sections of params.yaml, noted by their dotted names when they are looked up."""

    def __init__(self, content: dict[str, Any], above: str = "") -> None:
        super().__init__(content)
        self.above = above

    def __getitem__(self, key: str) -> Any:
        found = super().__getitem__(key)
        note("param", self.above + key)
        return Heard(found, f"{self.above}{key}.") if isinstance(found, dict) else found

    def get(self, key: str, default: Any = None) -> Any:
        try:
            return self[key]
        except KeyError:
            return default


# A stage that reads no parameters has not declared the module either.
if find_spec("wenmo.config.params_file"):
    from wenmo.config import params_file

    read = params_file.read
    params_file.read = lambda *arguments: Heard(read(*arguments))  # type: ignore[assignment]
sys.addaudithook(hear)
