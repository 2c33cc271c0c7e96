"""`wenmo verify` on pipelines of a stage or two, some of which don't make the same bytes twice."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import dvc, git

STEADY = "cp words.txt steady.txt"
WAVERING = "python -c 'import time; print(time.time_ns())' > wavering.txt"


@pytest.fixture
def repository(committed: Path, tmp_path: Path) -> Path:
    """That pipeline, for a test of its own."""
    return Path(shutil.copytree(committed, tmp_path / "mine", symlinks=True))


@pytest.fixture(scope="module")
def committed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pipeline with a stage whose output is always the same."""
    folder = tmp_path_factory.mktemp("committed") / "mine"
    folder.mkdir()
    git(folder, "init", "--quiet")
    assert dvc(folder, "init", "--quiet").returncode == 0
    (folder / "words.txt").write_text("雪落了\n", "utf-8")
    return with_stage(folder, "steady", STEADY)


def with_stage(folder: Path, name: str, command: str) -> Path:
    """The same with a stage more, run and committed."""
    options = ["--name", name, "--deps", "words.txt", "--outs", f"{name}.txt"]
    assert dvc(folder, "stage", "add", "--quiet", "--run", *options, command).returncode == 0
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", name)
    return folder


def verify(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = Path(sys.executable).with_name("wenmo")
    return subprocess.run([command, "verify", *options], cwd=folder, capture_output=True, text=True)


def commit_of(folder: Path) -> str:
    return git(folder, "rev-parse", "--short", "HEAD").strip()


def test_the_same_hashes_are_told_in_one_line(repository: Path) -> None:
    run = verify(repository)
    assert run.returncode == 0, run.stderr
    assert "Running stage 'steady'" in run.stdout
    last = run.stdout.splitlines()[-1]
    assert last == f"All 2 hashes of 1 stages are those of commit {commit_of(repository)}."


def test_an_output_that_comes_out_otherwise_is_named_with_its_stage(repository: Path) -> None:
    run = verify(with_stage(repository, "wavering", WAVERING))
    assert run.returncode == 1
    assert run.stdout.splitlines()[-1].startswith("wavering: wavering.txt: committed ")
    assert run.stderr.splitlines()[-1] == (
        f"verify: 1 of 4 hashes are not those of commit {commit_of(repository)}"
    )


def test_a_lock_that_does_not_fit_its_code_is_found_out(repository: Path) -> None:
    """What `dvc repro` would call up to date: dvc.lock was made with other words."""
    lock = repository / "dvc.lock"
    before = lock.read_text()
    (repository / "words.txt").write_text("雪停了\n", "utf-8")
    assert dvc(repository, "repro", "--quiet").returncode == 0
    lock.write_text(before)
    git(repository, "commit", "--quiet", "--all", "--message", "other words")
    run = verify(repository)
    assert run.returncode == 1
    assert "steady: words.txt: committed " in run.stdout
    assert "steady: steady.txt: committed " in run.stdout


@pytest.mark.full
def test_raw_texts_that_dvc_keeps_come_along(repository: Path) -> None:
    raw = repository / "data/raw/poetry"
    raw.mkdir(parents=True)
    (raw / "poems.csv").write_text("雪\n", "utf-8")
    assert dvc(repository, "add", "--quiet", "data/raw/poetry").returncode == 0
    options = ["--name", "count", "--deps", "data/raw/poetry", "--outs", "count.txt"]
    command = "wc -c data/raw/poetry/poems.csv > count.txt"
    assert dvc(repository, "stage", "add", "--quiet", "--run", *options, command).returncode == 0
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--message", "poems")
    run = verify(repository)
    assert run.returncode == 0, run.stderr


def test_changes_that_are_not_committed_are_left_out_and_that_is_said(repository: Path) -> None:
    (repository / "words.txt").write_text("雪停了\n", "utf-8")
    run = verify(repository)
    assert run.returncode == 0
    told = f"changes that are not committed are left out; verifying {commit_of(repository)}"
    assert told in run.stderr


def test_a_folder_that_is_named_is_kept_and_one_that_is_there_is_refused(
    repository: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    assert verify(repository, "--folder", str(kept)).returncode == 0
    assert (kept / "steady.txt").read_text("utf-8") == "雪落了\n"
    run = verify(repository, "--folder", str(kept))
    assert run.returncode == 1
    assert run.stderr == f"verify: {kept} exists already; name a new folder\n"


def test_a_stage_that_fails_ends_the_verification(repository: Path) -> None:
    with_stage(repository, "wavering", WAVERING)
    pipeline = repository / "dvc.yaml"
    pipeline.write_text(pipeline.read_text().replace("cp words.txt", "cp no-such.txt"))
    git(repository, "commit", "--quiet", "--all", "--message", "break it")
    run = verify(repository)
    assert run.returncode == 1
    assert run.stderr.splitlines()[-1] == (
        "verify: `dvc repro --force --no-run-cache` failed; its output is above"
    )


def test_outside_a_repository_it_is_said_in_one_line(tmp_path: Path) -> None:
    run = verify(tmp_path)
    assert run.returncode == 1
    assert run.stderr.startswith("verify: `git rev-parse --short HEAD`: ")
    assert len(run.stderr.splitlines()) == 1
