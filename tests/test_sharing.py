"""Sharing by a real S3 server: what the owner pushes, a colleague pulls, and what goes wrong.

The commands for S3 and for raw texts in docs/sharing.md are those that run here.
"""

import random
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import digests, dvc, git
from tests.s3_remote import (
    add_remote,
    become_writer,
    clone_of,
    no_credentials_of_this_machine,
    succeed,
)
from tests.s3_server import BUCKET, SECRET, Line, S3Server
from tests.test_pipeline import outputs_content, stages_run
from wenmo.config.params_file import TASKS

TEXTS = 40
"""Files of the small repository; with them goes the list of their names."""


@pytest.fixture(scope="module", autouse=True)
def no_credentials(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A colleague is anonymous, not who happens to run the tests."""
    with no_credentials_of_this_machine(tmp_path_factory.mktemp("nobody")):
        yield


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with S3Server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def frail_server(tmp_path: Path) -> Iterator[S3Server]:
    """One that a test may fill or kill."""
    folder = tmp_path / "s3"
    folder.mkdir()
    with S3Server(folder) as server:
        yield server


def fail(folder: Path, *arguments: str) -> str:
    """What DVC said where it could not: an error, no traceback, no password."""
    with pytest.MonkeyPatch.context() as environment:
        # DVC despairs sooner than by itself. Where it is to succeed it keeps its patience, since a
        # server that has just come back takes a moment to find what it has.
        environment.setenv("AWS_MAX_ATTEMPTS", "1")
        run = dvc(folder, *arguments)
    assert run.returncode != 0
    said = run.stdout + run.stderr
    assert "ERROR: " in said
    assert "Traceback" not in said
    assert SECRET not in said
    return said


def count(said: str, done: str) -> int:
    """How many files DVC says it has pushed or fetched."""
    found = re.search(rf"(\d+) files? {done}", said)
    return int(found[1]) if found else 0


# --- the whole pipeline


@pytest.fixture(scope="module")
def pushed(built: Path, server: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The owner's clone of what was built, after its first push."""
    folder = clone_of(built, tmp_path_factory.mktemp("owner") / "wenmo")
    succeed(folder, "cache", "dir", "--local", str(built / ".dvc/cache"))
    add_remote(folder, "storage", "dvc", server.url)
    succeed(folder, "config", "core.remote", "storage")
    git(folder, "commit", "--quiet", "--message", "Use it", ".dvc/config")
    become_writer(folder)
    assert count(succeed(folder, "push"), "pushed") > 0
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


def test_a_reader_cannot_write(colleague: Path, server: S3Server) -> None:
    stored = server.files().find(BUCKET)
    (colleague / "data/raw/poetry").mkdir(parents=True)
    shutil.copy2(colleague / "data/sample/poetry/poems.csv", colleague / "data/raw/poetry")
    with (colleague / "data/raw/poetry/poems.csv").open("a") as poems:
        poems.write('"无题","佚名","今","雪落一山白，风来万木青。"\n')
    succeed(colleague, "add", "data/raw/poetry")
    assert "Access Denied" in fail(colleague, "push")
    assert server.files().find(BUCKET) == stored
    assert (colleague / "data/raw/poetry/poems.csv").is_file()


def test_credentials_are_in_no_commit(pushed: Path) -> None:
    assert SECRET in (pushed / ".dvc/config.local").read_text()
    assert git(pushed, "status", "--porcelain") == ""
    assert SECRET not in git(pushed, "log", "--patch", "@{upstream}..HEAD")


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


# --- what goes wrong


def small_repository(folder: Path, url: str) -> Path:
    """Some 20 MB of texts under version control, and the storage to push them to."""
    (folder / "texts").mkdir(parents=True)
    for number in range(TEXTS):
        content = random.Random(number).randbytes(500_000)
        (folder / f"texts/{number}.txt").write_bytes(content)
    git(folder, "init", "--quiet")
    succeed(folder, "init", "--quiet")
    succeed(folder, "add", "--quiet", "texts")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "Texts")
    add_remote(folder, "storage", "dvc", url)
    succeed(folder, "config", "core.remote", "storage")
    # However many cores there are, some files are through before others begin.
    succeed(folder, "remote", "modify", "storage", "jobs", "4")
    git(folder, "commit", "--quiet", "--message", "Use it", ".dvc/config")
    become_writer(folder)
    return folder


def files_and_cache(folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    return digests(folder / "texts"), digests(folder / ".dvc/cache/files")


def bring_back(server: S3Server, line: Line) -> None:
    """The server is there again, with what it had, at the address at which it was lost."""
    server.port = line.port
    server.start()


def test_wrong_credentials_are_named_and_nothing_is_lost(
    frail_server: S3Server, tmp_path: Path
) -> None:
    repository = small_repository(tmp_path / "mine", frail_server.url)
    before = files_and_cache(repository)
    become_writer(repository, secret="wrong")
    assert "Forbidden" in fail(repository, "push")
    become_writer(repository)
    assert count(succeed(repository, "push"), "pushed") == TEXTS + 1

    become_writer(repository, secret="wrong")
    shutil.rmtree(repository / ".dvc/cache")
    assert "Forbidden" in fail(repository, "pull")
    become_writer(repository)
    succeed(repository, "pull")
    assert files_and_cache(repository) == before


def test_a_server_that_gets_full_keeps_what_it_took_and_takes_the_rest_later(
    frail_server: S3Server, tmp_path: Path
) -> None:
    frail_server.kill()
    frail_server.start(megabytes=8)
    repository = small_repository(tmp_path / "mine", frail_server.url)
    before = files_and_cache(repository)
    said = fail(repository, "push")
    assert "PutObject" in said
    refused = re.search(r"(\d+) files failed to upload", said)
    assert refused
    assert 0 < int(refused[1]) < TEXTS
    assert files_and_cache(repository) == before

    frail_server.kill()
    frail_server.start()
    assert count(succeed(repository, "push"), "pushed") == int(refused[1])
    assert_a_colleague_gets(before, repository, tmp_path)


def test_a_server_lost_in_the_middle_of_a_push_gets_the_rest_later(
    frail_server: S3Server, tmp_path: Path
) -> None:
    with Line(frail_server, holds=8_000_000) as line:
        repository = small_repository(tmp_path / "mine", line.url)
        before = files_and_cache(repository)
        said = fail(repository, "push")
        assert line.broken
    assert line.url in said
    assert files_and_cache(repository) == before

    bring_back(frail_server, line)
    assert 1 < count(succeed(repository, "push"), "pushed") < TEXTS
    assert_a_colleague_gets(before, repository, tmp_path)


def test_a_server_lost_in_the_middle_of_a_pull_gives_the_rest_later(
    frail_server: S3Server, tmp_path: Path
) -> None:
    repository = small_repository(tmp_path / "mine", frail_server.url)
    succeed(repository, "push")
    with Line(frail_server, holds=8_000_000) as line:
        succeed(repository, "remote", "modify", "storage", "endpointurl", line.url)
        git(repository, "commit", "--quiet", "--message", "Move", ".dvc/config")
        colleague = clone_of(repository, tmp_path / "colleague")
        fail(colleague, "pull")
        assert line.broken
    texts, cache = files_and_cache(repository)
    # What has come is whole and is kept; what has not isn't there in part.
    assert 0 < len(digests(colleague / ".dvc/cache/files")) < TEXTS
    assert digests(colleague / ".dvc/cache/files").items() <= cache.items()
    assert digests(colleague / "texts").items() <= texts.items()

    bring_back(frail_server, line)
    assert 0 < count(succeed(colleague, "pull"), "fetched") < TEXTS
    assert files_and_cache(colleague) == (texts, cache)


def assert_a_colleague_gets(
    before: tuple[dict[str, str], dict[str, str]], repository: Path, tmp_path: Path
) -> None:
    colleague = clone_of(repository, tmp_path / "colleague")
    succeed(colleague, "pull")
    assert files_and_cache(colleague) == before
