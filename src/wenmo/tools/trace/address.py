"""FILE:LINE as a person types it: which file of the pipeline it names, of which task and kind."""

import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePath
from urllib.parse import unquote, urlsplit

from wenmo.config.params_file import TASKS
from wenmo.core.errors import UserError
from wenmo.tools.dvc_lock import LOCK_FILE, raw_folder, read_lock

PIPELINE = "dvc.yaml"
"""By this file a repository's root is known."""

RAW = "raw"
_PAGE = "page"
_FILES = {
    "prepared": ("data/prepared/<task>/*.jsonl", "prepare"),
    "rejected": ("data/rejected/<task>.jsonl", "prepare"),
    "test": ("data/test/<task>.jsonl", "prepare"),
    "summarized": ("data/summarized/<task>/*.jsonl", "summarize"),
    "train": ("data/merged/<task>/train.jsonl", "merge"),
    "eval": ("data/merged/<task>/eval.jsonl", "merge"),
    "base": ("outputs/<task>/eval.base.jsonl", "generate"),
    "tuned": ("outputs/<task>/eval.tuned.jsonl", "generate"),
    "submit": ("outputs/<task>/submit.json", "generate"),
    "scores": ("reports/<task>.jsonl", "evaluate"),
    _PAGE: ("reports/<task>.html", "evaluate"),
}
"""For each kind of line its file in the repository, and the stage that writes it."""

_ALLOWED = ", ".join(pattern for pattern, _ in _FILES.values())
_EXAMPLE = "as in outputs/novel/submit.json:12"


class AddressError(UserError):
    """No row is named. As for other wrong arguments the exit code is 2."""

    exit_code = 2


@dataclass(frozen=True)
class Address:
    """A line of a file, or an article of a page; `path` is relative to the repository's `root`."""

    root: Path
    path: Path
    kind: str
    task: str
    line: int = 0
    article: str = ""

    def __str__(self) -> str:
        return f"{self.path}#{self.article}" if self.article else f"{self.path}:{self.line}"


def parse(argument: str) -> Address:
    """What FILE:LINE or PAGE#ARTICLE names; FILE may be a file:// address out of a browser.

    FILE is looked for from the current folder, then from the repository's root. Raises AddressError
    for what names no row of the pipeline, and UserError for a file that is not there.
    """
    name, line, article = _parted(argument)
    root, path = _located(name)
    kind, task = _known(root, path)
    if (kind == _PAGE) != bool(article):
        form = "PAGE#ARTICLE as a browser shows it" if kind == _PAGE else f"FILE:LINE, {_EXAMPLE}"
        raise AddressError(f"{argument}: expected {form}")
    file = root / path
    if not file.is_file():
        way_out = f"; `dvc pull` or `dvc repro {_FILES[kind][1]}@{task}`" if kind != RAW else ""
        raise UserError(f"{path}: no such file{way_out}")
    if article:
        if f'id="{article}"' not in file.read_text(encoding="utf-8", errors="replace"):
            raise AddressError(f"{path}: there is no #{article} on this page")
    else:
        with file.open("rb") as content:
            lines = sum(1 for _ in content)
        if not 1 <= line <= lines:
            raise AddressError(f"{path}: no line {line}; the file has {lines}, counted from 1")
    return Address(root, path, kind, task, line, article)


def _parted(argument: str) -> tuple[str, int, str]:
    """File, line and article; there is either of the last two."""
    # A line first, since a file's name may hold a number sign.
    found = re.fullmatch(r"(?s)(.+):([0-9]+)()", argument) or re.fullmatch(
        r"(?s)(.+?)()#(.+)", argument
    )
    wrong = AddressError(f"{argument!r} names no row; expected FILE:LINE, {_EXAMPLE}")
    if not found:
        raise wrong
    name, line, article = found.groups()
    if name.startswith("file:"):
        try:
            name = unquote(urlsplit(name).path)
        except ValueError:
            raise wrong from None
    return name, int(line or 0), unquote(article or "")


def _located(name: str) -> tuple[Path, Path]:
    """The repository's root, and the file's path in it (absolute if it lies outside)."""
    here = Path.cwd()
    path = _without_dots(here / name)
    root = _root_of(path) or _root_of(here)
    if root is None:
        raise AddressError(f"{name}: not in a repository: no {PIPELINE} in a folder above it")
    if not path.parent.is_dir():
        path = _without_dots(root / name)
    return root, path.relative_to(root) if path.is_relative_to(root) else path


def _without_dots(path: Path) -> Path:
    # Not Path.resolve: DVC may keep an output as a link into its cache, outside of the repository.
    return Path(os.path.normpath(path))


def _root_of(path: Path) -> Path | None:
    return next((each for each in (path, *path.parents) if (each / PIPELINE).is_file()), None)


def _known(root: Path, path: Path) -> tuple[str, str]:
    """Kind and task of a file. Raises AddressError if its lines are no rows."""
    for kind, (pattern, _) in _FILES.items():
        for task in TASKS:
            wanted = PurePath(pattern.replace("<task>", task))
            if len(path.parts) == len(wanted.parts) and path.match(str(wanted)):
                return kind, task
    lock = read_lock(root / LOCK_FILE)
    folders = {task: raw_folder(lock, task) for task in TASKS}
    for task, folder in folders.items():
        if folder and (root / path).parent == _without_dots(root / folder):
            return RAW, task
    raw = ", ".join(f"{folder}/*" for folder in folders.values() if folder)
    raise AddressError(f"{path}: its lines are no rows; allowed are {_ALLOWED}, {raw}")
