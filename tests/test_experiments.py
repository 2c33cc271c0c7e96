"""An experiment runs what its parameter changes, out of the way, and can be taken up whole."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import dvc, git
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

pytestmark = pytest.mark.full

NAME, WINDOW = "wider", 25


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


@pytest.fixture(scope="module")
def experimenter(built: Path, origin: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone with every file of the pipeline, in which an experiment was run apart."""
    folder = clone_of(origin, tmp_path_factory.mktemp("experimenter") / "wenmo")
    shutil.copytree(built / ".dvc/cache/files", folder / ".dvc/cache/files")
    succeed(folder, "checkout")
    become_writer(folder)
    before = state(folder)
    setting = ("--name", NAME, "--set-param", f"poetry.evaluate.window={WINDOW}")
    apart = dvc(folder, "exp", "run", "--temp", *setting)
    expected = ["check", "evaluate@poetry", "report@poetry", "overview"]
    assert stages_run(apart) == expected, apart.stderr[-3000:]
    assert state(folder) == before
    return folder


@pytest.fixture
def workspace(experimenter: Path) -> Iterator[Path]:
    """The clone with the experiment, brought back to its commit afterwards."""
    commit = git(experimenter, "rev-parse", "HEAD").strip()
    yield experimenter
    git(experimenter, "checkout", "--quiet", "--force", "main")
    git(experimenter, "reset", "--quiet", "--hard", commit)
    succeed(experimenter, "checkout")


def state(folder: Path) -> dict[str, Any]:
    """The commit, what git sees or ignores, the parameters, the outputs with their mtimes."""
    return {
        "commit": git(folder, "rev-parse", "HEAD"),
        "files": git(folder, "status", "--porcelain", "--branch", "--ignored"),
        "params": (folder / "params.yaml").read_text("utf-8"),
        "outputs": outputs_state(folder),
    }


def commit_of(folder: Path) -> str:
    """The commit that DVC keeps for the experiment."""
    return git(folder, "for-each-ref", "--format=%(objectname)", f"refs/exps/*/*/{NAME}").strip()


def assert_it_is_there(folder: Path) -> None:
    """The experiment's parameter is set, and DVC finds nothing to run."""
    assert params_file.read(folder / "params.yaml")["poetry"]["evaluate"]["window"] == WINDOW
    run = dvc(folder, "repro")
    assert run.returncode == 0
    assert stages_run(run) == []


def test_an_experiment_is_read_beside_main_on_one_screen(workspace: Path) -> None:
    for command in (("exp", "diff", "main", NAME), ("metrics", "diff", "main", NAME)):
        lines = succeed(workspace, *command).splitlines()
        assert len(lines) < 40
        assert max(map(len, lines)) <= 120


def test_an_applied_experiment_is_there_whole_with_nothing_to_run(workspace: Path) -> None:
    succeed(workspace, "exp", "apply", NAME)
    assert git(workspace, "diff", commit_of(workspace)) == ""
    assert_it_is_there(workspace)


def test_an_experiment_made_a_branch_is_checked_out_and_merged_with_nothing_to_run(
    workspace: Path,
) -> None:
    succeed(workspace, "exp", "branch", NAME, "branch")
    git(workspace, "checkout", "--quiet", "branch")
    succeed(workspace, "checkout")
    assert_it_is_there(workspace)
    scored = outputs_content(workspace)

    git(workspace, "checkout", "--quiet", "main")
    git(workspace, "rm", "--quiet", "CITATION.cff")
    git(workspace, "commit", "--quiet", "--message", "Meanwhile")
    git(workspace, "merge", "--quiet", "--no-edit", "branch")
    succeed(workspace, "checkout")
    assert_it_is_there(workspace)
    assert outputs_content(workspace) == scored


def test_a_colleague_applies_a_shared_experiment_and_has_nothing_to_run(
    workspace: Path, origin: Path, tmp_path: Path
) -> None:
    """Nothing else has been pushed, and the colleague has no credentials."""
    succeed(workspace, "exp", "push", "origin", NAME)
    colleague = clone_of(origin, tmp_path / "colleague")
    succeed(colleague, "exp", "pull", "origin", NAME)
    succeed(colleague, "exp", "apply", NAME)
    succeed(colleague, "pull")
    assert_it_is_there(colleague)


def test_raw_texts_are_there_apart_once_git_knows_of_them(origin: Path, tmp_path: Path) -> None:
    """Git ignores raw texts; it must have the file that `dvc add` writes of them."""
    folder = clone_of(origin, tmp_path / "wenmo")
    poems = (folder / "data/sample/poetry/poems.csv").read_text("utf-8").splitlines(keepends=True)
    (folder / "data/raw/poetry").mkdir(parents=True)
    (folder / "data/raw/poetry/poems.csv").write_text("".join(poems[:-20]), "utf-8")
    ledger = "metrics/prepare/poetry.json"
    settings = ("--set-param", "data_dir=data/raw", "--set-param", "tasks=[poetry]")
    command = ("exp", "run", "--temp", "--name", NAME, *settings, "prepare@poetry")

    missing = dvc(folder, *command)
    assert missing.returncode != 0
    assert "data/raw/poetry'" in missing.stderr.splitlines()[-1]

    succeed(folder, "add", "data/raw/poetry")
    git(folder, "add", "data/raw/poetry.dvc")
    assert stages_run(dvc(folder, *command)) == ["check", "prepare@poetry"]
    made = json.loads(git(folder, "show", f"{commit_of(folder)}:{ledger}"))
    assert made["documents"] == json.loads((folder / ledger).read_text())["documents"] - 5
