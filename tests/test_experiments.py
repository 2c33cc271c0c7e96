"""DVC experiments: queued, in a folder of their own, applied, made a branch, shared.

What they set is how the variety of poems is measured, so that each runs evaluate@poetry alone.
"""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest

from tests.conftest import dvc, git, start_dvc
from tests.s3_remote import (
    add_remote,
    become_writer,
    clone_of,
    no_credentials_of_this_machine,
    succeed,
)
from tests.s3_server import S3Server
from tests.test_pipeline import outputs_content, outputs_state, stages_run
from wenmo.config import params_file

WINDOW = "poetry.evaluate.window"
WINDOWS = {"window-1": 15, "window-2": 25}
"""The experiments of one queue, by the names that DVC gives them."""

PATIENCE = 600
"""Seconds after which a queue hangs."""


class Queue(NamedTuple):
    """The clone in which a queue was worked off, and what was in it before and afterwards."""

    folder: Path
    before: dict[str, Any]
    after: dict[str, Any]


@pytest.fixture(scope="module", autouse=True)
def surroundings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with no_credentials_of_this_machine(tmp_path_factory.mktemp("nobody")):
        yield


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with S3Server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(scope="module")
def origin(built: Path, server: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The git remote of all clones; its one commit on top names the storage for their files."""
    folder = tmp_path_factory.mktemp("origin")
    git(folder, "clone", "--quiet", "--bare", str(built), "wenmo.git")
    first = clone_of(folder / "wenmo.git", folder / "first")
    add_remote(first, "storage", "dvc", server.url)
    succeed(first, "config", "core.remote", "storage")
    git(first, "commit", "--quiet", "--message", "Use it", ".dvc/config")
    git(first, "push", "--quiet")
    return folder / "wenmo.git"


def experimenter(built: Path, origin: Path, folder: Path) -> Path:
    """A clone with every file of the pipeline, and with none of the runs that DVC remembers."""
    clone_of(origin, folder)
    shutil.copytree(built / ".dvc/cache/files", folder / ".dvc/cache/files")
    succeed(folder, "checkout")
    return folder


@pytest.fixture(scope="module")
def queue(built: Path, origin: Path, tmp_path_factory: pytest.TempPathFactory) -> Queue:
    """One experiment that cannot run and two that can, worked off by two workers."""
    folder = experimenter(built, origin, tmp_path_factory.mktemp("experimenter") / "wenmo")
    become_writer(folder)
    before = state(folder)
    values = ",".join(map(str, WINDOWS.values()))
    succeed(folder, "exp", "run", "--queue", "--name", "wrong", "--set-param", f"{WINDOW}=0")
    succeed(
        folder, "exp", "run", "--queue", "--name", "window", "--set-param", f"{WINDOW}={values}"
    )
    work_off_queue(folder)
    return Queue(folder, before, state(folder))


@pytest.fixture
def workspace(queue: Queue) -> Iterator[Path]:
    """The clone with the queue's experiments, brought back to its commit afterwards."""
    commit = git(queue.folder, "rev-parse", "HEAD").strip()
    yield queue.folder
    git(queue.folder, "checkout", "--quiet", "--force", "main")
    git(queue.folder, "reset", "--quiet", "--hard", commit)
    succeed(queue.folder, "checkout")


def state(folder: Path) -> dict[str, Any]:
    """The commit, what git sees or ignores, the parameters, the outputs with times of change."""
    return {
        "commit": git(folder, "rev-parse", "HEAD"),
        "files": git(folder, "status", "--porcelain", "--branch", "--ignored"),
        "params": (folder / "params.yaml").read_text("utf-8"),
        "outputs": outputs_state(folder),
    }


def work_off_queue(folder: Path) -> None:
    """Start two workers and wait until they have ended, which they do when nothing is left."""
    command = ("queue", "start", "--jobs", "2")
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with start_dvc(folder, *command, **streams) as start:
        try:
            # The command ends at once, but the workers keep this pipe open as long as they live.
            said, _ = start.communicate(timeout=PATIENCE)
        finally:
            kill_session(start.pid)
    assert "Started '2' new experiments task queue workers." in said


def kill_session(leader: int) -> None:
    """End what is left of a process that began a session, and of its descendants."""
    for pid in psutil.pids():
        with suppress(ProcessLookupError):
            if os.getsid(pid) == leader:
                os.kill(pid, signal.SIGKILL)


def experiments(folder: Path) -> dict[str, dict[str, Any]]:
    """What `dvc exp show` has of each experiment that started from this commit."""
    _, commit = json.loads(dvc(folder, "exp", "show", "--json").stdout)
    return {shown["name"]: shown for shown in commit["experiments"]}


def commit_of(folder: Path, name: str) -> str:
    """The commit that DVC keeps for an experiment."""
    return git(folder, "for-each-ref", "--format=%(objectname)", f"refs/exps/*/*/{name}").strip()


def window(folder: Path) -> int:
    value = params_file.read(folder / "params.yaml")["poetry"]["evaluate"]["window"]
    assert isinstance(value, int)
    return value


def assert_nothing_to_run(folder: Path) -> None:
    run = dvc(folder, "repro")
    assert run.returncode == 0
    assert stages_run(run) == []
    assert "up to date" in run.stdout


# --- the queue


def test_queued_experiments_end_well_with_their_parameter_and_scores(queue: Queue) -> None:
    shown = experiments(queue.folder)
    variety = {}
    for name, value in WINDOWS.items():
        assert shown[name]["executor"]["state"] == "success"
        (revision,) = shown[name]["revs"]
        data = revision["data"]
        assert data["params"]["params.yaml"]["data"]["poetry"]["evaluate"]["window"] == value
        headline = data["metrics"]["metrics/poetry.json"]["data"]
        committed = git(queue.folder, "show", f"{revision['rev']}:metrics/poetry.json")
        assert headline == json.loads(committed)
        scores = git(queue.folder, "show", f"{revision['rev']}:metrics/evaluate/poetry.json")
        variety[value] = json.loads(scores)["base"]["distinct_2"]
    now = json.loads((queue.folder / "metrics/evaluate/poetry.json").read_text())
    # In a wider window more is repeated.
    assert variety[15] > now["base"]["distinct_2"] > variety[25]


def test_queued_experiments_run_what_their_parameter_changes_and_no_more(queue: Queue) -> None:
    for name in WINDOWS:
        logs = dvc(queue.folder, "queue", "logs", name)
        assert stages_run(logs) == ["check", "evaluate@poetry", "report@poetry"]


def test_queued_experiments_leave_the_folder_and_no_worker_behind(queue: Queue) -> None:
    assert queue.after == queue.before
    assert "Worker status: 0 active, 0 idle" in succeed(queue.folder, "queue", "status")
    assert not [path for path in (queue.folder / ".dvc/tmp/exps").glob("tmp*") if path.is_dir()]


def test_an_experiment_that_fails_says_why_in_one_line_and_the_others_go_on(queue: Queue) -> None:
    status = succeed(queue.folder, "queue", "status")
    assert [line.split()[-1] for line in status.splitlines() if "window-" in line] == [
        "Success",
        "Success",
    ]
    (line,) = [line for line in status.splitlines() if "wrong" in line]
    assert line.split()[-1] == "Failed"
    logs = succeed(queue.folder, "queue", "logs", "wrong")
    (complaint,) = [line for line in logs.splitlines() if "params.yaml: " in line]
    assert complaint.startswith(f"check: params.yaml: {WINDOW}: 0: ")
    assert "Traceback" not in logs
    shown = experiments(queue.folder)["wrong"]
    assert shown["executor"]["state"] == "failed"


# --- a folder of its own


def test_an_experiment_apart_comes_out_as_in_the_workspace(
    built: Path, origin: Path, queue: Queue, tmp_path: Path
) -> None:
    setting = ("--name", "apart", "--set-param", f"{WINDOW}=10")
    before = state(queue.folder)
    apart = dvc(queue.folder, "exp", "run", "--temp", *setting)
    assert stages_run(apart) == ["check", "evaluate@poetry", "report@poetry"]
    assert state(queue.folder) == before

    other = experimenter(built, origin, tmp_path / "wenmo")
    assert stages_run(dvc(other, "exp", "run", *setting)) == stages_run(apart)
    trees = {
        git(folder, "rev-parse", f"{commit_of(folder, 'apart')}^{{tree}}")
        for folder in (queue.folder, other)
    }
    assert len(trees) == 1
    assert "dvc.lock" in git(other, "diff", "--name-only", commit_of(other, "apart"), "HEAD")


def test_raw_texts_are_there_apart_once_git_knows_of_them(origin: Path, tmp_path: Path) -> None:
    """Git ignores them; it must have the file that `dvc add` writes of them."""
    folder = clone_of(origin, tmp_path / "wenmo")
    poems = (folder / "data/sample/poetry/poems.csv").read_text("utf-8").splitlines(keepends=True)
    (folder / "data/raw/poetry").mkdir(parents=True)
    (folder / "data/raw/poetry/poems.csv").write_text("".join(poems[:-20]), "utf-8")
    ledger = "metrics/prepare/poetry.json"
    settings = ("--set-param", "data_dir=data/raw", "--set-param", "tasks=[poetry]")
    command = ("exp", "run", "--temp", "--name", "mine", *settings, "prepare@poetry")

    missing = dvc(folder, *command)
    assert missing.returncode != 0
    assert "data/raw/poetry'" in missing.stderr.splitlines()[-1]

    succeed(folder, "add", "data/raw/poetry")
    git(folder, "add", "data/raw/poetry.dvc")
    run = dvc(folder, *command)
    # What stages of no task have written may still be in the cache.
    of_a_task = [stage for stage in stages_run(run) if "@" in stage]
    assert of_a_task == ["prepare@poetry"]
    made = json.loads(git(folder, "show", f"{commit_of(folder, 'mine')}:{ledger}"))
    assert made["documents"] == json.loads((folder / ledger).read_text())["documents"] - 5


# --- into the workspace


def test_an_applied_experiment_is_there_whole_with_nothing_to_run(workspace: Path) -> None:
    """The second is applied over the first."""
    pages = set()
    for name, value in WINDOWS.items():
        succeed(workspace, "exp", "apply", name)
        assert window(workspace) == value
        assert git(workspace, "diff", commit_of(workspace, name)) == ""
        assert_nothing_to_run(workspace)
        pages.add((workspace / "reports/poetry.html").read_bytes())
    assert len(pages) == len(WINDOWS)


def test_an_experiment_made_a_branch_is_checked_out_and_merged_with_nothing_to_run(
    workspace: Path,
) -> None:
    succeed(workspace, "exp", "branch", "window-2", "wider")
    git(workspace, "checkout", "--quiet", "wider")
    succeed(workspace, "checkout")
    assert window(workspace) == WINDOWS["window-2"]
    assert_nothing_to_run(workspace)
    scored = outputs_content(workspace)

    git(workspace, "checkout", "--quiet", "main")
    git(workspace, "rm", "--quiet", "CITATION.cff")
    git(workspace, "commit", "--quiet", "--message", "Meanwhile")
    git(workspace, "merge", "--quiet", "--no-edit", "wider")
    succeed(workspace, "checkout")
    assert window(workspace) == WINDOWS["window-2"]
    assert_nothing_to_run(workspace)
    assert outputs_content(workspace) == scored
    assert git(workspace, "status", "--porcelain") == ""


# --- sharing


def test_a_colleague_applies_a_shared_experiment_and_has_nothing_to_run(
    queue: Queue, origin: Path, tmp_path: Path
) -> None:
    """Nothing else has been pushed, and the colleague has no credentials."""
    succeed(queue.folder, "exp", "push", "origin", "window-1")

    colleague = clone_of(origin, tmp_path / "colleague")
    assert not (colleague / ".dvc/config.local").exists()
    listed = succeed(colleague, "exp", "list", "--name-only", "origin").split()
    assert listed == ["window-1"]
    succeed(colleague, "exp", "pull", "origin", "window-1")
    succeed(colleague, "exp", "apply", "window-1")
    succeed(colleague, "pull")
    assert window(colleague) == WINDOWS["window-1"]
    assert_nothing_to_run(colleague)
    assert git(colleague, "diff", commit_of(queue.folder, "window-1")) == ""
