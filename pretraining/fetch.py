"""Check out the texts of a source at its pinned commit.

PYTHONPATH=../src python fetch.py poems

A clone that lies in downloads/<name> already is used as it is, so that the stage needs no network
then. Otherwise git clones the repository, without the files that are not asked for.
"""

import shutil
import subprocess
from argparse import ArgumentParser
from pathlib import Path

from pydantic import Field

from one_line import told_in_one_line
from wenmo.config.params_file import PARAMS_FILE, Section, mapping, read, section
from wenmo.core.errors import UserError

DOWNLOADS, TEXTS = Path("downloads"), Path("texts")
# A clone of everything takes minutes; a network that is silent for this long (seconds) is down.
SILENCE = "60"


class Source(Section):
    """An entry of `sources`."""

    url: str
    commit: str = Field(pattern="^[0-9a-f]{40}$")
    paths: list[str] = Field(min_length=1)


def fetch(name: str, source: Source) -> None:
    """Put the source's paths at its commit into texts/<name>. Raises UserError in one line."""
    clone, folder = DOWNLOADS / name, TEXTS / name
    if not clone.exists():
        _git(
            ["clone", "--filter=blob:none", "--no-checkout", source.url, str(clone)],
            f"{source.url}: git could not clone it ({{}}); put a clone at pretraining/{clone}",
        )
    _git(
        ["-C", str(clone), "cat-file", "-e", f"{source.commit}^{{commit}}"],
        f"{clone}: it has no commit {source.commit} ({{}}); `git -C {clone} fetch` may bring it,"
        f" or remove the folder",
    )
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    _git(
        [
            *("-C", str(clone), f"--work-tree={folder.resolve()}"),
            *("checkout", source.commit, "--", *source.paths),
        ],
        f"{clone}: git could not check out what params.yaml names ({{}}); remove the folder, or"
        f" mend sources.{name}.paths",
    )


def _git(arguments: list[str], complaint: str) -> None:
    patience = ["-c", "http.lowSpeedLimit=1000", "-c", f"http.lowSpeedTime={SILENCE}"]
    try:
        subprocess.run(
            ["git", *patience, *arguments],
            check=True,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )
    except FileNotFoundError:
        raise UserError("git is not installed; it brings the texts") from None
    except subprocess.CalledProcessError as error:
        lines = error.stderr.strip().splitlines() or [f"exit code {error.returncode}"]
        raise UserError(complaint.format(lines[-1].removeprefix("fatal: "))) from None


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("source", help="an entry of `sources` in params.yaml")
    chosen = parser.parse_args().source
    with told_in_one_line("fetch"):
        sources = mapping(read(), "sources", PARAMS_FILE)
        fetch(chosen, section(Source, sources, chosen, within="sources"))
