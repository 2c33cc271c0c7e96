"""`wenmo verify`: build everything in a fresh clone and compare every hash."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from os import environ, pathsep
from pathlib import Path
from tempfile import TemporaryDirectory

import typer

from wenmo.core.errors import UserError
from wenmo.core.language import gettext
from wenmo.tools.dvc_lock import LOCK_FILE, Lock, parse_lock, read_lock


@dataclass(frozen=True)
class Difference:
    """A file or folder whose hash is not the committed one; a hash is empty if there is none."""

    stage: str
    path: str
    committed: str
    rebuilt: str


def verify(folder: Path | None) -> None:
    """Build the current commit in `folder` (None: a temporary one) and print what differs.

    Raises UserError if a hash differs, a stage fails or the folder exists already.
    """
    with TemporaryDirectory() as temporary:
        if folder and folder.exists():
            raise UserError("{folder} exists already; name a new folder", folder=folder)
        commit = commit_of(Path())
        if not is_as_committed(Path()):
            told = gettext(
                "changes that are not committed are left out; verifying {commit}", commit=commit
            )
            typer.echo(told, err=True)
        clone = (folder or Path(temporary) / "clone").absolute()
        rebuild(Path(), clone)
        before, after = committed(clone), rebuilt(clone)
        found = list(differences(before, after))
        for each in found:
            change = gettext(
                "{stage}: {path}: committed {committed}, now {rebuilt}",
                stage=each.stage,
                path=each.path,
                committed=each.committed or gettext("nothing"),
                rebuilt=each.rebuilt or gettext("nothing"),
            )
            typer.echo(change)
        count = len(hashes(before))
        if found:
            raise UserError(
                "{others} of {count} hashes are not those of commit {commit}",
                others=len(found),
                count=count,
                commit=commit,
            )
        same = gettext(
            "All {count} hashes of {stages} stages are those of commit {commit}.",
            count=count,
            stages=len(before),
            commit=commit,
        )
        typer.echo(same)


def rebuild(repository: Path, folder: Path) -> None:
    """Clone the repository's current commit into `folder` and run every stage of it there.

    The clone has a cache of its own, so that nothing built before is reused. Raw texts that DVC
    keeps are copied from the repository's cache. Raises UserError if a stage fails.
    """
    _run("git", "clone", "--quiet", "--no-hardlinks", str(repository), str(folder), within=Path())
    raw = [str(path.relative_to(folder)) for path in sorted(folder.glob("data/raw/*.dvc"))]
    if raw:
        # A cache has the layout of a remote on a disk.
        cache = _output("dvc", "cache", "dir", within=repository)
        _run("dvc", "remote", "add", "--quiet", "--local", "before", cache, within=folder)
        _run("dvc", "pull", "--quiet", "--remote", "before", *raw, within=folder)
    _run("dvc", "repro", "--force", "--no-run-cache", within=folder)


def hashes(lock: Lock) -> dict[tuple[str, str], str]:
    """The hash of each input and output by stage and path."""
    return {
        (name, path): found
        for name, stage in lock.items()
        for path, found in (stage.inputs | stage.outputs).items()
    }


def committed(folder: Path) -> Lock:
    """The stages as the clone's commit records them."""
    return parse_lock(_output("git", "show", f"HEAD:{LOCK_FILE}", within=folder))


def rebuilt(folder: Path) -> Lock:
    """The stages as they ran in the clone."""
    return read_lock(folder / LOCK_FILE)


def differences(before: Lock, after: Lock) -> Iterator[Difference]:
    """The hashes that differ, in order of stage and path."""
    then, now = hashes(before), hashes(after)
    for place in sorted(then.keys() | now.keys()):
        if then.get(place) != now.get(place):
            yield Difference(*place, then.get(place, ""), now.get(place, ""))


def commit_of(repository: Path) -> str:
    """The short hash of the current commit. Raises UserError outside a git repository."""
    return _output("git", "rev-parse", "--short", "HEAD", within=repository)


def is_as_committed(repository: Path) -> bool:
    """Whether no tracked file has changed since the last commit."""
    return not _output("git", "status", "--porcelain", "-uno", within=repository)


def _run(*command: str, within: Path) -> None:
    """Run a command whose output the user sees. Raises UserError if it fails."""
    if subprocess.run(command, cwd=within, env=_environment()).returncode:  # noqa: S603
        raise UserError("`{command}` failed; its output is above", command=" ".join(command))


def _output(*command: str, within: Path) -> str:
    run = subprocess.run(  # noqa: S603
        command, cwd=within, env=_environment(), capture_output=True, text=True
    )
    if run.returncode:
        raise UserError(
            "{place}: {error}",
            place=f"`{' '.join(command)}`",
            error=run.stderr.strip().splitlines()[-1],
        )
    return run.stdout.strip()


def _environment() -> dict[str, str]:
    """The environment with this Python's programs first, in case its folder is not activated."""
    return environ | {"PATH": f"{Path(sys.executable).parent}{pathsep}{environ.get('PATH', '')}"}
