"""A folder in which `wenmo write` and `wenmo web` find small models."""

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

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
