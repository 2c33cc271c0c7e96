"""Whether a commit's results come out again: build all in a fresh clone, compare every hash."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from os import environ, pathsep
from pathlib import Path

from wenmo.core.errors import UserError
from wenmo.tools.dvc_lock import LOCK_FILE, Lock, parse_lock, read_lock


@dataclass(frozen=True)
class Difference:
    """A file or folder whose hash is not the one that was committed; empty where there is none."""

    stage: str
    path: str
    committed: str
    rebuilt: str


def rebuild(repository: Path, folder: Path) -> None:
    """Clone the repository's current commit into `folder` and run every stage of it there.

    The clone has a cache of its own, so that nothing which was built before has a part in it; raw
    texts that DVC keeps come from the repository's cache. Raises UserError if a stage fails.
    """
    _run("git", "clone", "--quiet", "--no-hardlinks", str(repository), str(folder), within=Path())
    raw = [str(path.relative_to(folder)) for path in sorted(folder.glob("data/raw/*.dvc"))]
    if raw:
        # A cache is laid out as a remote on a disk is.
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
    """What the clone's commit says of its stages."""
    return parse_lock(_output("git", "show", f"HEAD:{LOCK_FILE}", within=folder))


def rebuilt(folder: Path) -> Lock:
    """What the clone's stages have come to."""
    return read_lock(folder / LOCK_FILE)


def differences(before: Lock, after: Lock) -> Iterator[Difference]:
    """The hashes that are not the same, in order of stage and path."""
    then, now = hashes(before), hashes(after)
    for place in sorted(then.keys() | now.keys()):
        if then.get(place) != now.get(place):
            yield Difference(*place, then.get(place, ""), now.get(place, ""))


def commit_of(repository: Path) -> str:
    """The current commit, shortened as git does. Raises UserError outside a git repository."""
    return _output("git", "rev-parse", "--short", "HEAD", within=repository)


def is_as_committed(repository: Path) -> bool:
    """Whether no file that git knows has changed since the last commit."""
    return not _output("git", "status", "--porcelain", "-uno", within=repository)


def _run(*command: str, within: Path) -> None:
    """Run a command whose words the user sees. Raises UserError if it fails."""
    if subprocess.run(command, cwd=within, env=_environment()).returncode:  # noqa: S603
        raise UserError(f"`{' '.join(command)}` failed; what it says stands above")


def _output(*command: str, within: Path) -> str:
    run = subprocess.run(  # noqa: S603
        command, cwd=within, env=_environment(), capture_output=True, text=True
    )
    if run.returncode:
        raise UserError(f"`{' '.join(command)}`: {run.stderr.strip().splitlines()[-1]}")
    return run.stdout.strip()


def _environment() -> dict[str, str]:
    """With this Python's programs first, for who calls `wenmo` without activating its folder."""
    return environ | {"PATH": f"{Path(sys.executable).parent}{pathsep}{environ.get('PATH', '')}"}
