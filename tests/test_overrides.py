"""A shared parameter that does not reach a task, which has its own, is told by the first stage."""

import os
import shlex
import shutil
import subprocess
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from dvc.utils.hydra import to_hydra_overrides
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from tests.conftest import ROOT, git, run_python
from wenmo.config import params_file
from wenmo.config.overrides import unreached

PARAMS = params_file.read(ROOT / "params.yaml")
BLOCK = (
    "merge.group_by=block does not reach novel, whose novel.merge.group_by is source;"
    " set that: -S novel.merge.group_by=block"
)


def changed(*updates: dict[str, Any]) -> dict[str, Any]:
    content = deepcopy(PARAMS)
    for update in updates:
        content = params_file.deep_merge(content, update)
    return content


def told(*updates: dict[str, Any]) -> list[str]:
    return list(unreached(PARAMS, changed(*updates)))


def test_each_task_that_is_not_reached_is_named_with_the_way_out() -> None:
    assert told({"merge": {"group_by": "block"}}) == [
        BLOCK,
        "merge.group_by=block does not reach poetry, whose poetry.merge.group_by is verse_line;"
        " set that: -S poetry.merge.group_by=block",
    ]
    (nested,) = told({"generate": {"sampling": {"max_new_tokens": 999}}})
    assert nested == (
        "generate.sampling.max_new_tokens=999 does not reach poetry, whose"
        " poetry.generate.sampling.max_new_tokens is 160;"
        " set that: -S poetry.generate.sampling.max_new_tokens=999"
    )


QUIET = {
    "nothing changed": {},
    "no task has its own": {"train": {"max_length": 9, "lora": {"r": 3}}},
    "the task is not run": {"tasks": ["fairytale"], "merge": {"group_by": "block"}},
    "the task's own is what was changed": {"novel": {"merge": {"group_by": "block"}}},
    "the same for all": {
        "merge": {"group_by": "block"},
        "novel": {"merge": {"group_by": "block"}},
        "poetry": {"merge": {"group_by": "block"}},
    },
    "the task's own was changed as well": {
        "merge": {"eval_fraction": 0.1},
        "fairytale": {"merge": {"eval_fraction": 0.15}},
    },
    "what the task has already": {"merge": {"eval_fraction": 0.3}},
}


@pytest.mark.parametrize("case", QUIET)
def test_what_reaches_every_task_is_not_told(case: str) -> None:
    assert told(QUIET[case]) == []


def test_a_key_that_was_not_there_before_is_told_as_well() -> None:
    before = deepcopy(PARAMS)
    del before["merge"]["eval_fraction"]
    (line,) = unreached(before, PARAMS)
    assert line.startswith("merge.eval_fraction=0.25 does not reach fairytale, whose ")


@given(content=st.recursive(st.none() | st.integers(), lambda each: st.lists(each)))
def test_any_content_of_the_commit_is_borne(content: Any) -> None:
    broken = dict.fromkeys(PARAMS, content)
    assert all("\n" not in line for line in unreached(broken, PARAMS))


@given(
    value=st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1)
    | st.sampled_from([r"\0", "\\", r"\"", r'\\"a', "true", "null", "nan", "block", "1e-4"])
    | st.booleans()
    | st.integers(-5, 5)
    | st.floats(1e-9, 1e9)
    | st.lists(st.sampled_from(["甲", "乙", "block", "null", r"\0", r"\""]), min_size=1)
)
def test_the_command_that_is_named_sets_the_value(value: Any) -> None:
    before = {"merge": {"group_by": "before"}, "novel": {"merge": {"group_by": "own"}}}
    (line,) = unreached(before, before | {"tasks": ["novel"], "merge": {"group_by": value}})
    option, assignment = shlex.split(line.rpartition("set that: ")[2])
    (override,) = to_hydra_overrides([assignment])
    assert (option, override.key_or_group) == ("-S", "novel.merge.group_by")
    assert override.value() == value


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The repository's root, as far as the first stage needs it."""
    folder = tmp_path / "wenmo"
    for name in ("src", "stages"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("params.yaml", "pyproject.toml"):
        shutil.copy2(ROOT / name, folder)
    return folder


def check(folder: Path, path: str | None = None) -> subprocess.CompletedProcess[str]:
    YAML().dump(changed({"merge": {"group_by": "block"}}), folder / "params.yaml")
    environment = {"PYTHONPATH": str(folder / "src"), "PATH": path or os.environ["PATH"]}
    return run_python("stages/check.py", cwd=folder, environment=environment)


def commit(folder: Path, *names: str) -> None:
    git(folder, "init", "--quiet")
    git(folder, "add", *names)
    git(folder, "commit", "--quiet", "-m", "params")


def outputs(folder: Path) -> dict[str, bytes]:
    checked = folder / "data/checked"
    return {str(each): each.read_bytes() for each in checked.rglob("*") if each.is_file()}


def test_the_first_stage_tells_it_and_writes_the_same(folder: Path) -> None:
    without = check(folder)
    assert (without.returncode, without.stderr) == (0, "")
    quiet = outputs(folder)
    shutil.copy2(ROOT / "params.yaml", folder)
    commit(folder, "params.yaml")
    run = check(folder)
    assert run.returncode == 0
    assert run.stderr.splitlines()[0] == f"check: warning: {BLOCK}"
    assert run.stderr.count("\n") == 2
    assert outputs(folder) == quiet


@pytest.mark.parametrize("case", ["no commit", "not committed", "broken", "no mapping", "no git"])
def test_where_nothing_is_committed_it_is_quiet(folder: Path, case: str) -> None:
    path = None
    match case:
        case "no commit":
            git(folder, "init", "--quiet")
        case "not committed":
            commit(folder, "pyproject.toml")
        case "broken" | "no mapping":
            (folder / "params.yaml").write_text("a: [\n" if case == "broken" else "- a\n")
            commit(folder, "params.yaml")
        case "no git":
            commit(folder, "params.yaml")
            path = str(folder)
    run = check(folder, path)
    assert (run.returncode, run.stderr) == (0, "")
