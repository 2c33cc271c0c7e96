"""An account at the endpoints of tests: endpoints.yaml, the API key and a store of answers."""

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

CANARY = "sk-canary-7f3a"
"""The API key of the tests, which no file and no output may show."""

LIMITS = {
    "api_key_env": "CANARY_KEY",
    "requests_per_minute": 1_000_000,
    "tokens_per_minute": 1_000_000_000,
    "input_price": 2.0,
    "output_price": 8.0,
    "concurrency": 64,
    "timeout_seconds": 1.0,
    "max_retries": 6,
}


def write_limits(folder: Path = Path(), **update: Any) -> None:
    """Write an endpoints.yaml whose defaults are LIMITS with `update`, and which has no entry."""
    YAML(typ="safe").dump({"defaults": LIMITS | update}, folder / "endpoints.yaml")


def work_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `folder` the working folder, with endpoints.yaml, the key and a store of its own."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("WENMO_STORE", str(folder / "store/answers.sqlite"))
    monkeypatch.setenv("CANARY_KEY", CANARY)
    write_limits(folder)
