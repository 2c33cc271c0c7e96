"""`wenmo merge-lock` as git calls it: merges, rebases and cherry-picks of real repositories."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from dvc.schema import COMPILED_LOCKFILE_SCHEMA
from dvc.utils.serialize import dumps_yaml, modify_yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from typer.testing import CliRunner

from tests.conftest import ROOT, dvc, git
from wenmo.core.errors import UserError
from wenmo.tools.cli import app
from wenmo.tools.merge_lock import merge_lock

Stages = dict[str, Any]


def entry(seed: int = 0, *, rate: object = 0.004, result: object = None) -> dict[str, Any]:
    """A stage as DVC records it: what it read, with which parameters, and what it wrote."""
    result = seed if result is None else result
    return {
        "cmd": "PYTHONPATH=src python stages/train.py",
        "deps": [{"path": "data/merged", "hash": "md5", "md5": f"{seed:032x}", "size": 4}],
        "params": {"params.yaml": {"train": {"learning_rate": rate, "prompt": "写一首诗：" * 30}}},
        "outs": [{"path": "models", "hash": "md5", "md5": f"{result:032}", "size": 9, "nfiles": 2}],
    }


def lock_text(stages: Stages) -> str:
    return dumps_yaml({"schema": "2.0", "stages": stages})


def stages_of(text: str) -> Stages:
    """The stages of a dvc.lock that DVC takes."""
    return dict(COMPILED_LOCKFILE_SCHEMA(YAML(typ="safe").load(text))["stages"])


BASE = {"train@novel": entry(), "train@fairytale": entry(), "train@poetry": entry()}
OURS = BASE | {"train@novel": entry(1)}
# Its first line that changes follows the last line of train@novel's entry.
THEIRS = BASE | {"train@fairytale": entry(2) | {"cmd": "python stages/train.py"}}
BOTH = OURS | {"train@fairytale": THEIRS["train@fairytale"]}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A clone in which `make` has set up the driver, with the dvc.lock of three stages."""
    folder = tmp_path / "a clone"
    command = folder / ".venv/bin/wenmo"
    command.parent.mkdir(parents=True)
    program = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'src')!r})\nfrom wenmo.tools.cli import app"
    )
    command.write_text(f"#!{sys.executable}\n{program}\napp()\n", encoding="utf-8")
    command.chmod(0o755)
    for name in ("Makefile", ".gitattributes", ".gitignore"):
        shutil.copy(ROOT / name, folder)
    git(folder, "init", "--quiet", "--initial-branch", "main")
    set_up(folder)
    commit(folder, BASE)
    return folder


def set_up(folder: Path) -> None:
    subprocess.run(["make", "merge-driver"], cwd=folder, check=True, capture_output=True)


def commit(folder: Path, stages: Stages) -> None:
    (folder / "dvc.lock").write_text(lock_text(stages), encoding="utf-8")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "a result")


def branch_off(folder: Path, ours: Stages, theirs: Stages) -> None:
    """Leave `main` with ours checked out, and a branch `other` with theirs."""
    git(folder, "checkout", "--quiet", "-b", "other")
    commit(folder, theirs)
    git(folder, "checkout", "--quiet", "main")
    commit(folder, ours)


def lock_of(folder: Path) -> str:
    return (folder / "dvc.lock").read_text(encoding="utf-8")


def conflict(folder: Path, *command: str) -> str:
    """What git and the driver say on stderr where a merge ends in conflict."""
    with pytest.raises(subprocess.CalledProcessError) as caught:
        git(folder, *command)
    assert caught.value.returncode == 1
    return str(caught.value.stderr)


def resolved(text: str, side: int) -> str:
    """A conflicting file after one side, 1 for ours and 2 for theirs, was kept of each."""
    return re.sub(r"<{7} ours\n(.*?)={7}\n(.*?)>{7} theirs\n", rf"\{side}", text, flags=re.S)


def merged(base: str, ours: str, theirs: str) -> tuple[str, set[str]]:
    """What the driver leaves of three texts, and the stages that it names as in conflict."""
    with TemporaryDirectory() as name:
        paths = [Path(name, side) for side in ("base", "ours", "theirs")]
        for path, text in zip(paths, (base, ours, theirs), strict=True):
            path.write_text(text, encoding="utf-8")
        conflicts = set()
        try:
            merge_lock(*paths)
        except UserError as error:
            found = re.search("changed on both sides: (.*?);", str(error))
            conflicts = set(found[1].split(", ")) if found else {str(error)}
        assert sorted(Path(name).iterdir()) == sorted(paths)
        return paths[1].read_text(encoding="utf-8"), conflicts


def test_the_overview_of_two_branches_is_no_conflict() -> None:
    """It is of all tasks, so that both sides have changed it, and DVC makes it anew."""
    before, ours, theirs = (lock_text({"overview": entry(number)}) for number in (1, 2, 3))
    assert merged(before, ours, theirs) == (ours, set())


@pytest.mark.parametrize(
    "command",
    [("merge", "--no-edit", "other"), ("cherry-pick", "other"), ("rebase", "other")],
    ids=lambda command: command[0],
)
def test_branches_of_different_tasks_merge_without_hands(
    repository: Path, command: tuple[str, ...]
) -> None:
    branch_off(repository, OURS, THEIRS)
    git(repository, *command)
    assert lock_of(repository) == lock_text(BOTH)
    assert git(repository, "status", "--porcelain") == ""


def test_a_stage_changed_on_both_sides_is_named_and_marked(repository: Path) -> None:
    ours, theirs = OURS | {"train@poetry": entry(3)}, THEIRS | {"train@poetry": entry(4)}
    branch_off(repository, ours, theirs)
    told = conflict(repository, "merge", "--no-edit", "other")
    assert [line for line in told.splitlines() if line] == [
        "merge-lock: dvc.lock: changed on both sides: train@poetry; keep one side between each pair"
        " of markers, or take one by `git checkout --ours dvc.lock` (or --theirs), then run"
        " `dvc repro`"
    ]
    assert git(repository, "status", "--porcelain") == "UU dvc.lock\n"
    text = lock_of(repository)
    assert text.count("<<<<<<< ours\n  train@poetry:\n") == 1
    # The rest is merged, whichever side is kept.
    assert resolved(text, 1) == lock_text(BOTH | {"train@poetry": entry(3)})
    assert resolved(text, 2) == lock_text(BOTH | {"train@poetry": entry(4)})

    git(repository, "checkout", "--theirs", "dvc.lock")
    assert lock_of(repository) == lock_text(theirs)
    git(repository, "merge", "--abort")
    assert lock_of(repository) == lock_text(ours)
    assert git(repository, "status", "--porcelain") == ""


def test_no_record_is_made_of_two_runs() -> None:
    # Other lines of one stage: git alone would merge them into a run that never was.
    other_input = BASE | {"train@poetry": entry(1, result=5)}
    other_result = BASE | {"train@poetry": entry(0, result=6)}
    texts = [lock_text(stages) for stages in (BASE, other_input, other_result)]
    assert merged(*texts)[1] == {"train@poetry"}


def test_runs_that_wrote_the_same_are_no_conflict() -> None:
    ours, theirs = (OURS | {"merge@poetry": entry(n, result=7)} for n in (1, 2))
    base = BASE | {"merge@poetry": entry(0, result=7)}
    texts = [lock_text(stages) for stages in (base, ours, theirs)]
    assert merged(*texts) == (texts[1], set())
    # One that ran on their side alone is theirs.
    assert merged(texts[0], texts[0], texts[2]) == (texts[2], set())


def test_what_dvc_wrote_of_this_repository_stays_as_it_is() -> None:
    lock = (ROOT / "dvc.lock").read_text(encoding="utf-8")
    # A path of its own in every task, as if one had run anew.
    ours = lock.replace("path: metrics/novel.json", "path: metrics/romance.json")
    theirs = lock.replace("path: metrics/poetry.json", "path: metrics/song.json")
    assert len({lock, ours, theirs}) == 3
    assert merged(lock, lock, lock) == (lock, set())
    both = ours.replace("path: metrics/poetry.json", "path: metrics/song.json")
    assert merged(lock, ours, theirs) == (both, set())


GOOD = lock_text(BASE)


@pytest.mark.parametrize(
    ("place", "content"),
    [
        (1, GOOD.replace("  train@poetry", "<<<<<<< HEAD\n  train@poetry")),
        (1, ""),
        (2, "- a list\n"),
        (2, GOOD.replace("cmd:", "command:")),
        (2, GOOD + "  train@novel: {cmd: twice}\n"),
        (2, GOOD.replace("rate: 0.004", "rate: 2026-13-45")),
        (0, "\x00"),
    ],
)
def test_what_dvc_did_not_write_is_refused_in_one_line(
    place: int, content: str, tmp_path: Path
) -> None:
    paths = [tmp_path / side for side in ("base", "ours", "theirs")]
    for number, path in enumerate(paths):
        path.write_text(content if number == place else GOOD, encoding="utf-8")
    before = paths[1].read_bytes()
    result = CliRunner().invoke(app, ["merge-lock", *map(str, paths)])
    whose = ("the common ancestor's", "our", "their")[place]
    assert (result.exit_code, result.output) == (
        1,
        f"merge-lock: dvc.lock: {whose} version was not written by DVC; take one by"
        " `git checkout --ours dvc.lock` (or --theirs), then run `dvc repro`\n",
    )
    assert paths[1].read_bytes() == before


# Names that YAML has to quote are among them, and values of every type that params.yaml knows.
NAMES = st.sampled_from(["prepare", "train@novel", "train@poetry", "merge@12", "12", "on", "诗"])
WORDS = st.text(st.characters(exclude_categories=("C", "Zl", "Zp")), max_size=100)
# DVC itself loses the last of 17 digits where it writes a number with an exponent again.
FLOATS = st.floats(0.001, 1e6) | st.integers(1, 9999).map(lambda digits: float(f"{digits}e-12"))
VALUES = st.none() | st.booleans() | st.integers() | FLOATS | WORDS
ENTRIES = st.builds(entry, st.integers(1, 3), rate=VALUES)
FIRST = {"base_model": entry()}


def apply(path: Path, *changes: dict[str, Any]) -> str:
    """Change a dvc.lock as DVC does after a run: by its own reading and writing of the file."""
    with modify_yaml(path) as lock:
        for name, new in (change for side in changes for change in side.items()):
            if new:
                lock["stages"][name] = new
            else:
                lock["stages"].pop(name, None)
    return path.read_text(encoding="utf-8")


@settings(max_examples=50)
@given(
    base=st.dictionaries(NAMES, ENTRIES, max_size=4),
    changes=st.dictionaries(NAMES, st.tuples(st.booleans(), st.none() | ENTRIES), max_size=4),
)
def test_disjoint_changes_merge_to_what_dvc_would_have_written(
    base: Stages, changes: dict[str, tuple[bool, Any]]
) -> None:
    ours = {name: new for name, (is_ours, new) in changes.items() if is_ours}
    theirs = {name: new for name, (is_ours, new) in changes.items() if not is_ours}
    before = lock_text(FIRST | base)
    with TemporaryDirectory() as folder:
        path = Path(folder, "dvc.lock")
        results = []
        for side in ([ours], [theirs], [ours, theirs]):
            path.write_text(before, encoding="utf-8")
            results.append(apply(path, *side))
    our, their, both = results
    assert merged(before, our, their) == (both, set())
    swapped, conflicts = merged(before, their, our)
    assert (stages_of(swapped), conflicts) == (stages_of(both), set())
    # A side that changed nothing, or the same, leaves the other as it is.
    assert merged(before, before, their) == (their, set())
    assert merged(before, our, before) == (our, set())
    assert merged(before, our, our) == (our, set())


PIPELINE = """\
stages:
  check:
    cmd: cp params.yaml checked.txt
    params:
      - params.yaml:
    outs:
      - checked.txt
  train:
    foreach: [novel, poetry]
    do:
      cmd: grep ${item} params.yaml > ${item}.txt
      params:
        - steps.${item}
      outs:
        - ${item}.txt
"""
PARAMS = "steps:\n  novel: 100\n# The tasks' lines are apart, as in params.yaml.\n  poetry: 100\n"


@pytest.mark.full
def test_dvc_goes_on_from_a_merge(repository: Path) -> None:
    def run(params: str) -> set[str]:
        """The stages that ran, once the result is committed."""
        (repository / "params.yaml").write_text(params, encoding="utf-8")
        done = dvc(repository, "repro")
        assert done.returncode == 0, done.stderr
        git(repository, "add", "--all")
        git(repository, "commit", "--quiet", "--message", "a result")
        return set(re.findall(r"Running stage '(.+)'", done.stdout))

    assert dvc(repository, "init", "--quiet").returncode == 0
    (repository / "dvc.yaml").write_text(PIPELINE, encoding="utf-8")
    (repository / "dvc.lock").unlink()
    assert run(PARAMS) == {"check", "train@novel", "train@poetry"}
    git(repository, "checkout", "--quiet", "-b", "other")
    assert run(PARAMS.replace("poetry: 100", "poetry: 500")) == {"check", "train@poetry"}
    git(repository, "checkout", "--quiet", "main")
    assert run(PARAMS.replace("novel: 100", "novel: 20")) == {"check", "train@novel"}

    git(repository, "merge", "--no-edit", "other")
    assert dvc(repository, "checkout").returncode == 0
    both = (repository / "params.yaml").read_text(encoding="utf-8")
    assert ("novel: 20" in both, "poetry: 500" in both) == (True, True)
    tasks = ("train@novel", "train@poetry")
    assert "up to date" in dvc(repository, "status", *tasks).stdout
    # Neither task runs again, only the check of them all.
    assert run(both) == {"check"}
    assert "up to date" in dvc(repository, "status").stdout
