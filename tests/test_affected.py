"""Which stages run again after a change of a parameter or a raw file, by what dvc.yaml declares.

That a stage declares what it reads, and nothing else, is shown by tests/test_isolated_stages.py.
"""

import ast
from collections.abc import Iterator, Mapping
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
from dvc.repo import Repo
from dvc.repo.reproduce import plan_repro

from tests.conftest import ROOT
from wenmo.config import params_file
from wenmo.config.params_file import TASKS

GRAPH = Repo(str(ROOT)).index.graph
PARAMS = params_file.read(ROOT / "params.yaml")
AFTER_TRAIN = "merge_weights generate evaluate report"


def stages(names: str, tasks: tuple[str, ...] = TASKS) -> set[str]:
    return {f"{name}@{task}" for name in names.split() for task in tasks}


def leaves(content: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """The dotted name of every key that holds no further keys."""
    for key, value in content.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{above}{key}.")
        else:
            yield f"{above}{key}"


KEYS = list(leaves(PARAMS))


def readers(key: str) -> list[Any]:
    """The stages that declare a key of params.yaml or a section that it stands in."""
    return [
        stage
        for stage in GRAPH
        for dep in stage.params
        if any(f"{key}.".startswith(f"{declared}.") for declared in dep.params)
    ]


def rerun(first: list[Any]) -> set[str]:
    return {stage.addressing for stage in plan_repro(GRAPH, first, downstream=True)}


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("prepare.to_simplified", f"prepare summarize merge train baseline {AFTER_TRAIN}"),
        ("summarize.provider", f"summarize merge train baseline {AFTER_TRAIN}"),
        ("merge.max_train_rows", f"merge train baseline {AFTER_TRAIN}"),
        ("train.max_steps", f"train {AFTER_TRAIN}"),
        ("merge_weights.precision", AFTER_TRAIN),
        ("generate.sampling.temperature", "baseline generate evaluate report"),
        ("evaluate.resamples", "evaluate report"),
    ],
)
def test_a_parameter_reruns_what_reads_it_and_what_follows(key: str, expected: str) -> None:
    assert rerun(readers(key)) == stages(expected) | {"overview"}


def test_every_stage_waits_for_check_by_one_file() -> None:
    for stage in GRAPH:
        paths = [str(dep) for dep in stage.deps]
        assert sum("data/checked/" in path for path in paths) == (stage.addressing != "check")


@pytest.mark.parametrize("task", TASKS)
def test_a_tasks_own_parameter_reruns_that_task_alone(task: str) -> None:
    own = stages(f"train {AFTER_TRAIN}", (task,))
    assert rerun(readers(f"{task}.train.learning_rate")) == own | {"overview"}


@pytest.mark.parametrize("key", KEYS)
def test_no_parameter_is_without_a_stage(key: str) -> None:
    """`data_dir` stands in dvc.yaml itself; train.launcher is read there as well."""
    assert readers(key) or key == "data_dir"


def test_no_parameter_is_without_a_line_of_code_that_reads_it() -> None:
    """But for `train`, whose keys are handed on to TRL and peft, which refuse what they lack."""
    files = [*(ROOT / "src").rglob("*.py"), *(ROOT / "stages").glob("*.py")]
    named = {
        node.attr
        for path in files
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
    }
    handed_on = {key for key in KEYS if key.startswith("train.")}
    unread = {key for key in KEYS if key.split(".")[-1] not in named} - handed_on
    empty = {key for key in KEYS if reduce(lambda at, name: at[name], key.split("."), PARAMS) == {}}
    assert unread - empty == {"data_dir"}, "only dvc.yaml reads the folder"


@pytest.mark.parametrize("task", TASKS)
def test_a_raw_file_belongs_to_its_task_alone(task: str) -> None:
    folder = ROOT / "data/sample" / task
    reading = [s for s in GRAPH for dep in s.deps if Path(dep.fs_path) == folder]
    assert [stage.addressing for stage in reading] == [f"prepare@{task}"]
