"""The command `wenmo` itself: it starts without the libraries that its commands need."""

import subprocess
import sys

import pytest
from rich.cells import cell_len
from typer.testing import CliRunner

from wenmo.config.params_file import TASKS
from wenmo.tools import cli

SLOW = {"gradio", "openai", "pandas", "pydantic", "torch", "transformers"}


def test_help_imports_no_slow_library() -> None:
    code = f"import sys, wenmo.tools.cli; print(*{SLOW} & {{*sys.modules}})"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "\n"


def test_the_help_of_a_task_names_all_tasks() -> None:
    shown = CliRunner().invoke(cli.app, ["inspect", "--help"]).stdout
    assert all(task in shown for task in TASKS)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_what_a_command_does_is_told_whole(language: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WENMO_LANG", language)
    monkeypatch.setenv("COLUMNS", "80")
    for group in ([], ["batch"]):
        listed = CliRunner().invoke(cli.app, [*group, "--help"]).stdout
        summaries = listed.splitlines()[3:]
        assert not any("..." in line or "…" in line for line in summaries)
        assert all(cell_len(line) <= 80 for line in listed.splitlines())
