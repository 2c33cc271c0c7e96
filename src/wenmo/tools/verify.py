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
            raise UserError(f"{folder} exists already; name a new folder")
        commit = commit_of(Path())
        if not is_as_committed(Path()):
            typer.echo(f"changes that are not committed are left out; verifying {commit}", err=True)
        clone = (folder or Path(temporary) / "clone").absolute()
        rebuild(Path(), clone)
        before, after = committed(clone), rebuilt(clone)
        found = list(differences(before, after))
        for each in found:
            change = f"committed {each.committed or 'nothing'}, now {each.rebuilt or 'nothing'}"
            typer.echo(f"{each.stage}: {each.path}: {change}")
        count = len(hashes(before))
        if found:
            raise UserError(f"{len(found)} of {count} hashes are not those of commit {commit}")
        typer.echo(f"All {count} hashes of {len(before)} stages are those of commit {commit}.")


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
        raise UserError(f"`{' '.join(command)}` failed; its output is above")


def _output(*command: str, within: Path) -> str:
    run = subprocess.run(  # noqa: S603
        command, cwd=within, env=_environment(), capture_output=True, text=True
    )
    if run.returncode:
        raise UserError(f"`{' '.join(command)}`: {run.stderr.strip().splitlines()[-1]}")
    return run.stdout.strip()


def _environment() -> dict[str, str]:
    """The environment with this Python's programs first, in case its folder is not activated."""
    return environ | {"PATH": f"{Path(sys.executable).parent}{pathsep}{environ.get('PATH', '')}"}
