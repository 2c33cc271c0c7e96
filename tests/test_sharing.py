"""Sharing by a real S3 server: a colleague pulls what the owner pushed, and has nothing to run.

The commands for S3 and for raw texts in docs/sharing.md are those that run here.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import dvc, git
from tests.s3_remote import (
    add_remote,
    become_writer,
    clone_of,
    no_credentials_of_this_machine,
    succeed,
)
from tests.s3_server import BUCKET, S3Server
from tests.test_pipeline import outputs_content, stages_run
from wenmo.config.params_file import TASKS


@pytest.fixture(scope="module", autouse=True)
def no_credentials(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A colleague is anonymous, not who happens to run the tests."""
    with no_credentials_of_this_machine(tmp_path_factory.mktemp("nobody")):
        yield


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with S3Server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(scope="module")
def pushed(built: Path, server: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The owner's clone of what was built, after its first push."""
    folder = clone_of(built, tmp_path_factory.mktemp("owner") / "wenmo")
    succeed(folder, "cache", "dir", "--local", str(built / ".dvc/cache"))
    add_remote(folder, "storage", "dvc", server.url)
    succeed(folder, "config", "core.remote", "storage")
    git(folder, "commit", "--quiet", "--message", "Use it", ".dvc/config")
    become_writer(folder)
    succeed(folder, "push")
    return folder


@pytest.fixture
def colleague(pushed: Path, tmp_path: Path) -> Path:
    """A fresh clone with nothing but what is in git: no files of the pipeline, no credentials."""
    folder = clone_of(pushed, tmp_path / "colleague")
    assert not (folder / "models").exists()
    assert not (folder / ".dvc/config.local").exists()
    return folder


def test_a_colleague_without_credentials_gets_every_file_and_has_nothing_to_run(
    built: Path, colleague: Path
) -> None:
    succeed(colleague, "pull")
    assert (
        outputs_content(colleague).items()
        == {
            colleague / path.relative_to(built): content
            for path, content in outputs_content(built).items()
        }.items()
    )
    repro = dvc(colleague, "repro")
    assert repro.returncode == 0
    assert stages_run(repro) == []
    assert "up to date" in repro.stdout
    assert git(colleague, "status", "--porcelain") == ""


def test_one_model_can_be_pulled_alone(colleague: Path) -> None:
    succeed(colleague, "pull", "models/merged/poetry")
    assert (colleague / "models/merged/poetry/model.safetensors").is_file()
    assert not (colleague / "models/base").exists()


def test_raw_texts_from_elsewhere_are_imported_used_and_followed(
    pushed: Path, server: S3Server, tmp_path: Path
) -> None:
    """The owner imports and pushes them; a colleague gets those very texts, and later new ones."""
    poems = (pushed / "data/sample/poetry/poems.csv").read_text("utf-8").splitlines(keepends=True)
    source = f"{BUCKET}/texts/poetry/poems.csv"
    server.files().pipe_file(source, "".join(poems[:-20]).encode())
    owner = clone_of(pushed, tmp_path / "owner")
    become_writer(owner)
    add_remote(owner, "texts", "texts", server.url)

    (owner / "data/raw").mkdir()
    succeed(owner, "import-url", "remote://texts/poetry", "data/raw/poetry")
    params = owner / "params.yaml"
    params.write_text(
        params.read_text("utf-8")
        .replace("data_dir: data/sample\n", "data_dir: data/raw\n")
        .replace("  - novel\n  - fairytale\n", "", 1)
    )
    prepare = dvc(owner, "repro", "prepare@poetry")
    assert stages_run(prepare) == ["check", "prepare@poetry"]
    git(owner, "add", "--all")
    assert "data/raw/poetry.dvc" in git(owner, "diff", "--cached", "--name-only")
    assert "poems.csv" not in git(owner, "diff", "--cached", "--name-only")
    git(owner, "commit", "--quiet", "--message", "Read my poems")
    succeed(owner, "push")

    colleague = clone_of(owner, tmp_path / "colleague")
    server.files().pipe_file(source, "".join(poems).encode())
    succeed(colleague, "pull", "data/raw/poetry.dvc", "prepare@poetry")
    assert (colleague / "data/raw/poetry/poems.csv").read_text("utf-8") == "".join(poems[:-20])
    succeed(colleague, "pull", "check")
    assert stages_run(dvc(colleague, "repro", "prepare@poetry")) == []

    succeed(colleague, "update", "data/raw/poetry.dvc")
    assert (colleague / "data/raw/poetry/poems.csv").read_text("utf-8") == "".join(poems)
    again = dvc(colleague, "repro", "prepare@poetry")
    assert stages_run(again) == ["prepare@poetry"]


def test_every_task_may_have_texts_under_version_control(colleague: Path) -> None:
    for task in TASKS:
        shutil.copytree(colleague / "data/sample" / task, colleague / "data/raw" / task)
        succeed(colleague, "add", f"data/raw/{task}")
    status = git(colleague, "status", "--porcelain", "--untracked-files=all").splitlines()
    assert status == [f"?? data/raw/{task}.dvc" for task in sorted(TASKS)]
    # DVC looks into data/raw/ although git ignores what else is in there.
    assert "data/raw/poetry.dvc" in succeed(colleague, "stage", "list", "--all")
