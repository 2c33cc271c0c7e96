"""The commit in which dvc.lock first recorded an output as it is."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from wenmo.core.errors import UserError
from wenmo.tools.dvc_lock import LOCK_FILE, parse_lock

_PATIENCE_SECONDS = 60
_FIELDS = "%H%x00%P%x00%h%x00%as%x00%s"


class NotCommittedError(Exception):
    """HEAD's dvc.lock does not record the output, so no commit that this branch leads to does."""


@dataclass(frozen=True)
class Commit:
    """Its short hash, the day on which it was written, and its subject.

    `oldest` is whether a shallow clone ends with it, so that an older one may be meant.
    """

    short: str
    day: str
    subject: str
    oldest: bool


def commit_of(output: str, md5: str) -> Commit | None:
    """The latest commit up to HEAD which made dvc.lock record `output` with this hash.

    None if git's log does not show it, though HEAD's dvc.lock records the output so. Raises
    NotCommittedError where it does not, OSError if git is not installed, and
    subprocess.SubprocessError if git complains or takes too long.
    https://git-scm.com/docs/git-log#Documentation/git-log.txt--Sltstringgt
    """
    _git("rev-parse", "--git-dir")
    if not _records("HEAD", output, md5):
        raise NotCommittedError
    boundary = Path(_git("rev-parse", "--git-path", "shallow").rstrip("\n"))
    oldest = boundary.read_text().split() if boundary.is_file() else []
    # -m: a merge has a difference to each parent, and may be the one that brought the hash in.
    found = _git("log", "-m", f"-S{md5}", f"--format={_FIELDS}", "--", f"{LOCK_FILE}")
    for line in dict.fromkeys(filter(None, found.split("\n"))):
        commit, parents, short, day, subject = line.split("\0")
        if _records(commit, output, md5) and not any(
            _records(parent, output, md5) for parent in parents.split()
        ):
            return Commit(short, day, subject, commit in oldest)
    return None


def _records(commit: str, output: str, md5: str) -> bool:
    """Whether dvc.lock, as it is in a commit, holds this hash for the output."""
    try:
        text = _git("show", f"{commit}:./{LOCK_FILE}")
        lock = parse_lock(text) if md5 in text else {}
    except (subprocess.CalledProcessError, UserError):  # no such file in it, or no such commit
        return False
    return any(stage.outputs.get(output) == md5 for stage in lock.values())


def _git(*arguments: str) -> str:
    # git is the one that the user's shell finds, and no argument comes from outside.
    run = subprocess.run(  # noqa: S603
        ["git", "-c", "log.showSignature=false", "-c", "log.showRoot=true", *arguments],  # noqa: S607
        capture_output=True,
        check=True,
        timeout=_PATIENCE_SECONDS,
    )
    return run.stdout.decode(errors="replace")
