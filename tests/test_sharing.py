"""Sharing by a real S3 server: a colleague pulls what the owner pushed, and has nothing to run.

The commands for S3, for a web server, for models by name and for raw texts in docs/sharing.md are
those that run here.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web

from tests.conftest import digests, dvc, git
from tests.loopback import LoopbackServer
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


@pytest.mark.full
def test_one_model_can_be_pulled_alone(colleague: Path) -> None:
    succeed(colleague, "pull", "models/merged/poetry")
    assert (colleague / "models/merged/poetry/model.safetensors").is_file()
    assert not (colleague / "models/base").exists()


@pytest.mark.full
def test_a_model_is_had_by_its_name_and_version(built: Path, pushed: Path, tmp_path: Path) -> None:
    """Somebody who has neither a clone nor credentials; the version is a tag of git."""
    owner = clone_of(pushed, tmp_path / "owner")
    git(owner, "config", "user.name", "owner")
    git(owner, "config", "user.email", "owner@example.org")
    gto = Path(sys.executable).with_name("gto")
    for task in TASKS:
        subprocess.run([gto, "register", task, "--version", "v1.0.0"], cwd=owner, check=True)
        succeed(tmp_path, "artifacts", "get", str(owner), task, "--rev", "v1.0.0")
        assert digests(tmp_path / task) == digests(built / "models/merged" / task)
    assert "poetry@v1.0.0" in git(owner, "tag")


class WebServer(LoopbackServer):
    """A web server that knows nothing of DVC: it serves the files of a folder to be read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def application(self) -> web.Application:
        application = web.Application()
        application.router.add_static("/wenmo", self.folder)
        return application


@pytest.mark.full
def test_a_web_server_is_enough_to_read(built: Path, pushed: Path, tmp_path: Path) -> None:
    """Pushed into the server's folder; pulled in a clone, copied and followed from elsewhere."""
    (tmp_path / "served").mkdir()
    owner = clone_of(pushed, tmp_path / "owner")
    succeed(owner, "cache", "dir", "--local", str(built / ".dvc/cache"))
    with WebServer(tmp_path / "served") as server:
        succeed(owner, "remote", "add", "--default", "public", f"{server.address}/wenmo")
        git(owner, "commit", "--quiet", "--message", "Name our web server", ".dvc/config")
        succeed(owner, "remote", "add", "--local", "writable", str(tmp_path / "served"))
        succeed(owner, "push", "--remote", "writable")

        colleague = clone_of(owner, tmp_path / "colleague")
        succeed(colleague, "pull")
        assert stages_run(dvc(colleague, "repro")) == []

        succeed(tmp_path, "get", str(owner), "models/merged/poetry")
        assert digests(tmp_path / "poetry") == digests(built / "models/merged/poetry")
        other = tmp_path / "other"
        other.mkdir()
        git(other, "init", "--quiet")
        succeed(other, "init", "--quiet")
        succeed(other, "import", str(owner), "models/merged/poetry")
        assert digests(other / "poetry") == digests(built / "models/merged/poetry")
        assert "didn't change" in succeed(other, "update", "poetry.dvc")


@pytest.mark.full
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


@pytest.mark.full
def test_every_task_may_have_texts_under_version_control(colleague: Path) -> None:
    for task in TASKS:
        shutil.copytree(colleague / "data/sample" / task, colleague / "data/raw" / task)
        succeed(colleague, "add", f"data/raw/{task}")
    status = git(colleague, "status", "--porcelain", "--untracked-files=all").splitlines()
    assert status == [f"?? data/raw/{task}.dvc" for task in sorted(TASKS)]
    # DVC looks into data/raw/ although git ignores what else is in there.
    assert "data/raw/poetry.dvc" in succeed(colleague, "stage", "list", "--all")
