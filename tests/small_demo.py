"""A folder in which `wenmo write` and `wenmo web` find small models."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tests.conftest import ROOT
from tests.small_models import random_adapter

COMMAND = [sys.executable, "-c", "from wenmo.tools.cli import app; app()"]

LONGEST = 60
"""Tokens of a text."""


def small_repository(folder: Path, base: Path, tasks: Sequence[str]) -> Path:
    """params.yaml with short texts, the base, and an adapter with random weights a task."""
    params = (ROOT / "params.yaml").read_text(encoding="utf-8")
    for tokens in (320, 160):
        params = params.replace(f"max_new_tokens: {tokens}", f"max_new_tokens: {LONGEST}")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "params.yaml").write_text(params, encoding="utf-8")
    shutil.copy2(ROOT / "endpoints.yaml", folder)
    shutil.copytree(base, folder / "models/base")
    for rank, task in enumerate(tasks, start=2):
        random_adapter(base, folder / "models/adapters" / task, rank)
    return folder


def environment(home: Path) -> dict[str, str]:
    """For a command in a process of its own, with nothing of the user's."""
    return {
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "OMP_NUM_THREADS": "1",
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT / "src"),
        "TERM": "dumb",
    }


@contextmanager
def served(repository: Path, *arguments: str, **variables: str) -> Iterator[str]:
    """The page's address."""
    with page_process(repository, *arguments, **variables) as (address, _):
        yield address


@contextmanager
def page_process(
    repository: Path, *arguments: str, **variables: str
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """`wenmo web`: the page's address and its process, which may write no traceback."""
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            [*COMMAND, "web", *arguments],
            cwd=repository,
            env=environment(repository) | variables,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        try:
            for line in process.stdout or ():
                if line.startswith("http://"):
                    break
            else:
                raise AssertionError(told(log))
            yield line.strip(), process
        finally:
            process.terminate()
            process.communicate(timeout=60)
            assert "Traceback" not in told(log), told(log)


def told(log: IO[str]) -> str:
    log.seek(0)
    return log.read()
