"""FILE:LINE as a person types it: which row of which file of the pipeline it names."""

import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePath
from urllib.parse import unquote

from wenmo.config.params_file import TASKS
from wenmo.core.errors import UserError, WrongArgumentsError
from wenmo.core.language import N_, gettext
from wenmo.tools.task_names import task_left_out

PIPELINE = "dvc.yaml"
"""The file by which a repository's root is known."""

PAGE = "page"
FILES = {
    "prepared": ("data/prepared/<task>/*.jsonl", "prepare", N_("row that prepare made")),
    "rejected": ("data/rejected/<task>.jsonl", "prepare", N_("text that prepare left out")),
    "test": ("data/test/<task>.jsonl", "prepare", N_("test prompt")),
    "summarized": ("data/summarized/<task>/*.jsonl", "summarize", N_("row with its prompt")),
    "train": ("data/merged/<task>/train.jsonl", "merge", N_("training row")),
    "eval": ("data/merged/<task>/eval.jsonl", "merge", N_("held-out row")),
    "base": (
        "outputs/<task>/eval.base.jsonl",
        "baseline",
        N_("text of base for a held-out prompt"),
    ),
    "tuned": (
        "outputs/<task>/eval.tuned.jsonl",
        "generate",
        N_("text of tuned for a held-out prompt"),
    ),
    "submit": ("outputs/<task>/submit.json", "generate", N_("submitted text of tuned")),
    "scores": ("reports/<task>.jsonl", "evaluate", N_("held-out row with its scores")),
    PAGE: ("reports/<task>.html", "report", N_("held-out row as the page shows it")),
}
"""For each kind of row: its file in the repository, the stage that writes it, what it is called."""

_EXAMPLE = "outputs/novel/submit.json:12"


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

    FILE is looked for from the current folder, then from the repository's root. Raises
    WrongArgumentsError for what names no row, and UserError for a file that does not exist.
    """
    found = as_place(argument)
    if not found:
        raise WrongArgumentsError(
            "{argument!r} names no row; expected FILE:LINE, as in {example}",
            argument=argument,
            example=_EXAMPLE,
        )
    name, line, article = found
    root, path = located(name)
    kind, task = _known(root, path)
    if (kind == PAGE) != bool(article):
        complaint = N_("{argument}: expected FILE:LINE, as in {example}")
        if kind == PAGE:
            complaint = N_("{argument}: expected PAGE#ARTICLE as a browser shows it")
        raise WrongArgumentsError(complaint, argument=argument, example=_EXAMPLE)
    if not (root / path).is_file():
        stage = f"{FILES[kind][1]}@{task}"
        way_out = gettext("`dvc pull` or `dvc repro {stage}`", stage=stage)
        raise UserError(
            "{path}: no such file; {way_out}",
            path=path,
            way_out=task_left_out(task, root) or way_out,
        )
    return Address(root, path, kind, task, int(line or 0), unquote(article))


def as_place(argument: str) -> tuple[str, str, str] | None:
    """File, line and article, of which one is empty; None for what has neither form."""
    # The line comes first, since the name of a file may hold a number sign.
    found = re.fullmatch(r"(?s)(.+):([0-9]+)()", argument) or re.fullmatch(
        r"(?s)(.+?)()#(.+)", argument
    )
    return (found[1], found[2], found[3]) if found else None


def located(name: str) -> tuple[Path, Path]:
    """The repository's root, and the file's path in it (absolute if it lies outside).

    Raises WrongArgumentsError outside a repository.
    """
    if name.startswith("file://"):
        name = unquote(name.removeprefix("file://"))
    here = Path.cwd()
    path = _without_dots(here / name)
    root = _root_of(path) or _root_of(here)
    if root is None:
        raise WrongArgumentsError(
            "{name}: not in a repository: no {pipeline} in a folder above",
            name=name or here,
            pipeline=PIPELINE,
        )
    if not path.parent.is_dir():
        path = _without_dots(root / name)
    return root, path.relative_to(root) if path.is_relative_to(root) else path


def _without_dots(path: Path) -> Path:
    # Path.resolve would follow the links into DVC's cache that an output may consist of.
    return Path(os.path.normpath(path))


def _root_of(path: Path) -> Path | None:
    return next((each for each in (path, *path.parents) if (each / PIPELINE).is_file()), None)


def _known(root: Path, path: Path) -> tuple[str, str]:
    """Kind and task of a file. Raises WrongArgumentsError if it has no rows or does not exist."""
    for kind, (pattern, _, _) in FILES.items():
        for task in TASKS:
            wanted = PurePath(pattern.replace("<task>", task))
            if len(path.parts) == len(wanted.parts) and path.match(str(wanted)):
                return kind, task
    if not (root / path).exists():
        raise WrongArgumentsError("{path}: no such file", path=path)
    allowed = ", ".join(pattern for pattern, _, _ in FILES.values())
    raise WrongArgumentsError(
        "{path}: its lines are no rows; allowed are {allowed}", path=path, allowed=allowed
    )
