"""What DVC would run again after a change of any key of params.yaml, any raw file, a library.

The table READ_BY tells which stages read a key, WAITS_FOR which stages wait for which. DVC itself
is asked, in a copy of the repository in which it takes everything for up to date.
"""

import ast
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import chdir
from functools import reduce
from itertools import groupby, zip_longest
from pathlib import Path
from typing import Any

import pytest
from dvc.repo import Repo
from dvc.repo.reproduce import plan_repro

from tests.conftest import ROOT, git, run_python
from wenmo.config import params_file
from wenmo.config.params_file import TASKS

READ_BY = {
    # Says only which stages there are.
    "tasks": "",
    "seed": "base_model merge train generate evaluate",
    "data_dir": "check_raw prepare",
    "prepare": "check_raw prepare",
    "summarize": "summarize",
    # The judge is asked at one of them.
    "summarize.endpoints": "summarize evaluate",
    "merge": "merge",
    "base_model": "base_model",
    "chat": "train merge_weights generate evaluate",
    # merge_weights tells them in the model's card.
    "train": "train merge_weights",
    "merge_weights": "merge_weights",
    "generate": "generate",
    "evaluate": "evaluate",
    # generate writes as many texts as are scored.
    "evaluate.seeds": "generate evaluate",
    "TASK.prepare": "check_raw prepare",
    # A task may have endpoints of its own.
    "TASK.summarize": "summarize evaluate",
    "TASK.merge": "merge",
    "TASK.chat": "train merge_weights generate evaluate",
    "TASK.train": "train merge_weights",
    "TASK.merge_weights": "merge_weights",
    "TASK.generate": "generate",
    "TASK.evaluate": "evaluate",
}
"""The stages that read a key or, where it has no line, the section that it stands in.

Those of a task's own section are the task's alone. check_params reads every key.
"""

WAITS_FOR = {
    "check_params": "",
    "libraries": "",
    "base_model": "check_params libraries",
    "check_raw": "check_params",
    "prepare": "libraries check_raw",
    "summarize": "libraries prepare",
    "merge": "libraries summarize",
    "train": "libraries base_model merge",
    "merge_weights": "libraries base_model merge train",
    # prepare has the prompts of test.jsonl.
    "generate": "libraries base_model prepare merge train merge_weights",
    # train has the loss curve.
    "evaluate": "libraries base_model merge train merge_weights generate",
}
"""The stages whose outputs a stage reads: of its own task, or of none."""

OF_NO_TASK = ("check_params", "libraries", "base_model")

TEMPLATED = {
    "tasks": TASKS[:-1],
    "data_dir": "data/raw",
    "base_model.path": "data/raw/general",
    "train.launcher": "torchrun --nproc_per_node=2",
    "generate.engine": "openai",
}
"""Keys that stand in dvc.yaml itself, as ${key}, each with another value that is a right one."""

OVERLAID = {
    "chat.system_prompt",
    "generate.length.min_chars",
    "generate.length.max_chars",
    "evaluate.judge.rubric",
}
"""Shared keys for which each task has a value of its own."""


def leaves(content: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """The dotted name of every key that holds no further keys."""
    for key, value in content.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{above}{key}.")
        else:
            yield f"{above}{key}"


GRAPH = Repo(str(ROOT)).index.graph
"""The stages, each with those that it waits for as its successors."""
PARAMS = params_file.read(ROOT / "params.yaml")
KEYS = list(leaves(PARAMS))
RAW_FILES = [
    str(path.relative_to(ROOT))
    for path in sorted((ROOT / "data/sample").rglob("*"))
    if path.is_file()
]


def value_of(content: dict[str, Any], key: str) -> Any:
    return reduce(lambda section, name: section[name], key.split("."), content)


def another(value: Any) -> Any:
    """A value of the same kind that differs."""
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case str():
            return f"{value}!"
        case list():
            return [*value, "!"]
        case dict():
            return {"a": 1}
    raise TypeError(value)


def stages(names: str, tasks: tuple[str, ...] = TASKS) -> set[str]:
    """The stages of these names, of these tasks where they have any."""
    return {
        stage
        for name in names.split()
        for stage in ([name] if name in OF_NO_TASK else [f"{name}@{task}" for task in tasks])
    }


def expected(key: str) -> set[str]:
    first, *rest = key.split(".")
    names = ["TASK" if first in TASKS else first, *rest]
    prefixes = [".".join(names[:end]) for end in range(len(names), 0, -1)]
    known = [prefix for prefix in prefixes if prefix in READ_BY]
    assert known, f"params.yaml: READ_BY does not say who reads {key}"
    read_by = stages(READ_BY[known[0]], (first,) if first in TASKS else TASKS)
    return {"check_params"} | read_by


@pytest.fixture(scope="module")
def current(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository in which DVC takes everything for up to date.

    Where outputs have not been built a file stands for each: what depends on what is the same.
    """
    folder = tmp_path_factory.mktemp("affected") / "wenmo"
    shutil.copytree(clone, folder)
    shutil.copytree(folder / "data/sample", folder / "data/raw")
    write_libraries(folder)
    with chdir(folder), Repo() as repo:
        outputs = {Path(out.fs_path) for out in repo.index.outs}
        below = {path for dep in repo.index.deps if (path := Path(dep.fs_path)).parent in outputs}
        for path in sorted(outputs | below, reverse=True):
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                path.write_text("made")
        repo.commit(force=True)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "as if it had been built")
    assert stale(folder) == set()
    return folder


@pytest.fixture
def copied(current: Path) -> Iterator[Path]:
    """The same to change, brought back to its commit afterwards."""
    yield current
    git(current, "checkout", "--quiet", ".")
    write_libraries(current)


def write_libraries(folder: Path) -> None:
    """Run the stage on which all that depend on a library's version wait."""
    done = run_python("stages/libraries.py", cwd=folder, environment={"PYTHONPATH": "src"})
    assert done.returncode == 0, done.stderr


def stale(folder: Path) -> set[str]:
    """The stages that DVC would run at once; what follows them depends on what they make."""
    with chdir(folder), Repo() as repo, repo.lock:
        return {stage.addressing for stage in repo.index.stages if stage.changed()}


def write_params(folder: Path, values: Mapping[str, Any]) -> None:
    """params.yaml with some other values. JSON is YAML."""
    content = params_file.read(ROOT / "params.yaml")
    for key, value in values.items():
        above, _, name = key.rpartition(".")
        section = value_of(content, above) if above else content
        assert section[name] != value
        section[name] = value
    (folder / "params.yaml").write_text(json.dumps(content), encoding="utf-8")


@pytest.fixture(scope="module")
def affected(current: Path) -> dict[str, set[str]]:
    """The stages that DVC would run at once after a change of each key.

    A key in dvc.yaml itself may change commands and files, so all is resolved anew. Of the others
    one of each section is changed at a time, as DVC says which sections of the file have changed:
    that takes a quarter of the time.
    """
    found: dict[str, set[str]] = {}
    for key, value in TEMPLATED.items():
        write_params(current, {key: value})
        found[key] = stale(current)
    write_params(current, {})
    with chdir(current), Repo() as repo:
        index = list(repo.index.stages)
        plain = [key for key in KEYS if key not in TEMPLATED]
        sections = [list(keys) for _, keys in groupby(plain, top)]
        for round_ in zip_longest(*sections):
            keys = [key for key in round_ if key]
            write_params(current, {key: another(value_of(PARAMS, key)) for key in keys})
            changed = {
                stage.addressing: {
                    top(name)
                    for dep in stage.params
                    if dep.def_path == "params.yaml"
                    for name in dep.status().get("params.yaml", {})
                }
                for stage in index
            }
            for key in keys:
                found[key] = {stage for stage, tops in changed.items() if top(key) in tops}
    git(current, "checkout", "--quiet", ".")
    return found


def top(key: str) -> str:
    return key.partition(".")[0]


@pytest.mark.parametrize("key", KEYS)
def test_a_parameter_reruns_the_stages_that_read_it(
    affected: dict[str, set[str]], key: str
) -> None:
    assert affected[key] == expected(key)


def test_no_parameter_is_without_a_stage(affected: dict[str, set[str]]) -> None:
    """check_params makes nothing of them, and `tasks` says only which stages there are."""
    assert [key for key in KEYS if affected[key] == {"check_params"}] == ["tasks"]


def test_a_task_left_out_has_no_stages_and_changes_none(copied: Path) -> None:
    write_params(copied, {"tasks": ["fairytale"]})
    with chdir(copied), Repo() as repo:
        left = {stage.addressing for stage in repo.index.stages}
    assert left == stages(" ".join(WAITS_FOR), ("fairytale",))
    assert stale(copied) == {"check_params"}


def test_dvc_yaml_names_the_parameters_that_it_is_made_of() -> None:
    text = (ROOT / "dvc.yaml").read_text(encoding="utf-8")
    assert set(re.findall(r"\$\{(.+?)\}", text)) == {"item", *TEMPLATED}


def test_no_parameter_is_without_a_line_of_code_that_reads_it() -> None:
    """But for `train`, whose keys are handed on to TRL and peft, which refuse what they lack."""
    files = [*(ROOT / "src").rglob("*.py"), *(ROOT / "stages").glob("*.py")]
    named = {
        node.attr
        for path in files
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
    }
    read = {key for key in KEYS if key.rpartition(".")[2] in named or top(key) == "train"}
    empty = {key for key in KEYS if value_of(PARAMS, key) == {}}
    assert set(KEYS) - read - empty == {"data_dir"}, "only dvc.yaml reads the folder"


def test_a_shared_value_counts_for_some_task_unless_it_is_named_here() -> None:
    assert {
        key
        for key in KEYS
        if top(key) not in TASKS and all(key in leaves(PARAMS[task]) for task in TASKS)
    } == OVERLAID


@pytest.mark.parametrize("name", RAW_FILES)
def test_a_raw_file_reruns_the_stages_of_its_task(copied: Path, name: str) -> None:
    path = copied / name
    before = path.read_bytes()
    path.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    task = path.parent.name
    rerun = {"base_model"} if task == "general" else stages("check_raw prepare", (task,))
    assert stale(copied) == rerun


@pytest.mark.parametrize(
    ("library", "rerun"),
    [
        ("torch==", "base_model prepare summarize merge train merge_weights generate evaluate"),
        ("rouge-chinese==", "evaluate"),
        ("pytest==", ""),
    ],
)
def test_another_version_of_a_library_reruns_the_stages_that_it_may_change(
    copied: Path, library: str, rerun: str
) -> None:
    path = copied / "pyproject.toml"
    before = path.read_text(encoding="utf-8")
    path.write_text(before.replace(f'    "{library}', f'    "{library}1'), encoding="utf-8")
    assert path.read_text(encoding="utf-8") != before
    assert stale(copied) == stages("libraries" if rerun else "")
    write_libraries(copied)
    assert stale(copied) - {"libraries"} == stages(rerun)


def test_a_stage_waits_for_what_it_reads_and_for_no_other_task() -> None:
    waits_for = {
        stage.addressing: {other.addressing for other in GRAPH.successors(stage)} for stage in GRAPH
    }
    assert waits_for == {
        stage: stages(before, (task,))
        for name, before in WAITS_FOR.items()
        for task in TASKS
        for stage in stages(name, (task,))
    }


@pytest.mark.parametrize(
    ("key", "rerun"),
    [
        ("summarize.provider", "summarize merge train merge_weights generate evaluate"),
        ("merge.max_train_rows", "merge train merge_weights generate evaluate"),
        ("base_model.name", "base_model train merge_weights generate evaluate"),
        ("train.max_steps", "train merge_weights generate evaluate"),
        ("merge_weights.precision", "merge_weights generate evaluate"),
        ("generate.sampling.temperature", "generate evaluate"),
        ("evaluate.resamples", "evaluate"),
    ],
)
def test_nothing_more_than_what_follows_is_rerun(
    affected: dict[str, set[str]], key: str, rerun: str
) -> None:
    at_once = [s for s in GRAPH if s.addressing in affected[key] - {"check_params"}]
    planned = plan_repro(GRAPH, at_once, downstream=True)
    assert {stage.addressing for stage in planned} == stages(rerun)
