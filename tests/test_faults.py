"""A full disk, a folder that cannot be written to, two `dvc repro` at once.

Each ends in a line that says what to do, and the next run with the bytes of an undisturbed one.
"""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import digests, dvc, edit_a_poem
from tests.mounts import Mounts, NoMountsError
from tests.test_pipeline import stages_run

pytestmark = pytest.mark.full

TOPS = ("data", "metrics", "models", "outputs", "plots", "reports")
KIB, MIB = 2**10, 2**20
PLENTY = 256 * MIB
PREPARE = ("repro", "--single-item", "prepare@poetry")
TRAIN = ("repro", "train@poetry")
DISK_IS_FULL = "No space left on device"


@pytest.fixture
def mounts() -> Iterator[Mounts]:
    try:
        with Mounts() as mounts:
            yield mounts
    except NoMountsError as error:
        pytest.skip(str(error))


def copy_of(clone: Path, folder: Path) -> Path:
    """The clone once more, for one test to spoil."""
    return Path(shutil.copytree(clone, folder, ignore=shutil.ignore_patterns("__pycache__", "tmp")))


@pytest.fixture
def folder(built: Path, tmp_path: Path) -> Iterator[Path]:
    folder = copy_of(built, tmp_path / "wenmo")
    yield folder
    shutil.rmtree(folder)


def shorten_training(folder: Path) -> None:
    """Two steps, with a checkpoint after each."""
    path = folder / "params.yaml"
    params = path.read_text("utf-8")
    for name, steps in (("max_steps", 2), ("save_steps", 1)):
        params, found = re.subn(rf"(?m)^  {name}: \d+$", f"  {name}: {steps}", params)
        assert found == 1
    path.write_text(params, "utf-8")


@pytest.fixture(scope="module")
def prepared(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone in which an edited poem has got as far as the rows, undisturbed."""
    folder = copy_of(built, tmp_path_factory.mktemp("prepared") / "wenmo")
    edit_a_poem(folder)
    assert succeed(dvc(folder, *PREPARE)) == ["prepare@poetry"]
    return folder


@pytest.fixture(scope="module")
def trained(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone in which poetry has been trained for a short time, undisturbed."""
    folder = copy_of(built, tmp_path_factory.mktemp("trained") / "wenmo")
    shorten_training(folder)
    assert succeed(dvc(folder, *TRAIN)) == ["check", "train@poetry"]
    return folder


def results(folder: Path) -> dict[str, dict[str, str] | bytes]:
    """All that the pipeline has made, and what DVC knows of it."""
    return {top: digests(folder / top) for top in TOPS} | {
        "dvc.lock": (folder / "dvc.lock").read_bytes()
    }


def succeed(run: subprocess.CompletedProcess[str]) -> list[str]:
    """The stages that ran."""
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    return stages_run(run)


def fail(run: subprocess.CompletedProcess[str]) -> str:
    """What was said by a command that failed, which is no traceback."""
    assert run.returncode != 0
    said = run.stdout + run.stderr
    assert "Traceback" not in said, said[-3000:]
    return said


# --- Full disks


@pytest.mark.parametrize(
    ("stage", "disk", "size", "output"),
    [
        ("prepare", "data/prepared", 16 * KIB, "data/prepared/poetry"),
        ("generate", "journals", 4 * KIB, "outputs/poetry"),
    ],
)
def test_a_stage_that_fills_a_disk_says_so_and_runs_again(
    built: Path, folder: Path, mounts: Mounts, stage: str, disk: str, size: int, output: str
) -> None:
    repro = ("dvc", "repro", "--single-item", f"{stage}@poetry")
    # Empty, so that DVC does not take the result from there.
    mounts.put_disk(folder / ".dvc/cache", PLENTY)
    mounts.put_disk(folder / disk, size)
    said = fail(mounts.run(folder, *repro, "--force"))
    assert re.search(rf"(?m)^{stage}: .*: {DISK_IS_FULL}; mend that and run it again$", said)

    mounts.resize_disk(folder / disk, PLENTY)
    assert succeed(mounts.run(folder, *repro)) == [f"{stage}@poetry"]
    assert digests(mounts.seen(folder) / output) == digests(built / output)
    assert (folder / "dvc.lock").read_bytes() == (built / "dvc.lock").read_bytes()


@pytest.mark.parametrize(
    "write",
    [
        "import torch; torch.save(torch.zeros(99999), 'a.pt')",
        "import numpy, safetensors.numpy as s; s.save_file({'a': numpy.zeros(99999)}, 'a')",
        "import sqlite3; sqlite3.connect('a').execute('CREATE TABLE a AS SELECT zeroblob(99999)')",
        "import pathlib; pathlib.Path('a').write_bytes(bytes(99999))",
        "pass",
    ],
    ids=["torch", "safetensors", "SQLite", "Python", "little is left for DVC"],
)
def test_a_full_disk_is_known_by_what_any_library_says_of_it(
    tmp_path: Path, mounts: Mounts, write: str
) -> None:
    program = f"from wenmo.core.stage import run_stage\nwith run_stage('train'): {write}"
    mounts.put_disk(tmp_path, 16 * KIB)
    run = mounts.run(tmp_path, sys.executable, "-c", program)
    assert run.returncode == 1
    complaint = f"train: the disk .*({DISK_IS_FULL}|may be full: .*); mend that and run it again"
    assert re.fullmatch(f"\n{complaint}\n", run.stderr)


def test_training_goes_on_from_the_last_checkpoint_that_a_disk_had_room_for(
    trained: Path, folder: Path, mounts: Mounts
) -> None:
    kept = trained / "checkpoints/poetry/finished"
    room = sum(path.stat().st_size for path in kept.rglob("*") if path.is_file())
    room -= (kept / "checkpoint-2/optimizer.pt").stat().st_size // 2
    shorten_training(folder)
    mounts.put_disk(folder / "checkpoints", room)
    said = fail(mounts.run(folder, "dvc", *TRAIN))
    assert re.search(r"(?m)^train: the disk .* may be full: .*; mend that and run it again$", said)

    mounts.resize_disk(folder / "checkpoints", PLENTY)
    assert succeed(mounts.run(folder, "dvc", *TRAIN)) == ["train@poetry"]
    log = json.loads((folder / "logs/train/poetry.json").read_text("utf-8"))
    # Only what starts afresh measures the start.
    assert log["arguments"]["eval_on_start"] is False
    assert results(folder) == results(trained)


@pytest.mark.parametrize("left", [0, 4 * KIB, 128 * KIB])
def test_a_disk_that_is_full_of_other_things_spoils_nothing(
    prepared: Path, folder: Path, mounts: Mounts, tmp_path: Path, left: int
) -> None:
    disk = tmp_path / "disk"
    mounts.put_disk(disk, PLENTY)
    edit_a_poem(folder)
    shutil.copytree(folder, mounts.seen(disk), dirs_exist_ok=True)
    mounts.fill_disk(disk, left)
    said = fail(mounts.run(disk, "dvc", *PREPARE))
    assert DISK_IS_FULL in said

    mounts.resize_disk(disk, PLENTY)
    again = mounts.run(disk, "dvc", *PREPARE)
    if again.returncode:
        # Where DVC enters who reads and writes what; it was cut short before any stage began.
        assert "Unable to read RWLock-file '.dvc/tmp/rwlock'" in fail(again)
        (mounts.seen(disk) / ".dvc/tmp/rwlock").unlink()
        again = mounts.run(disk, "dvc", *PREPARE)
    succeed(again)
    assert results(mounts.seen(disk)) == results(prepared)


def test_answers_that_a_full_disk_had_room_for_are_kept(tmp_path: Path, mounts: Mounts) -> None:
    program = (
        "from pathlib import Path; from wenmo.core.errors import UserError\n"
        "from wenmo.llm.store import Reply, Store\n"
        "with Store(Path('answers.sqlite')) as store:\n"
        "    count = 'SELECT count(*) FROM answers'\n"
        "    try:\n"
        "        for n in range(1000): store.put(f'{n}', 'm', Reply('雪' * 300, 'stop', 1, 1))\n"
        "    except UserError as error: print(error)\n"
        "    print(n, *store.connection.execute(count).fetchone())\n"
    )
    mounts.put_disk(tmp_path, 200 * KIB)
    line, numbers = mounts.run(tmp_path, sys.executable, "-c", program).stdout.splitlines()
    assert re.match(r"answers\.sqlite: database or disk is full; free some space", line)
    refused, kept = map(int, numbers.split())
    assert 0 < kept == refused

    mounts.resize_disk(tmp_path, PLENTY)
    assert mounts.run(tmp_path, sys.executable, "-c", program).stdout == "999 1000\n"


# --- Folders that cannot be written to


@pytest.mark.parametrize("name", ["data/prepared", "metrics", ".dvc/cache", "."])
def test_a_read_only_folder_is_named_and_loses_nothing(
    prepared: Path, folder: Path, mounts: Mounts, name: str
) -> None:
    edit_a_poem(folder)
    (folder / name).mkdir(exist_ok=True)
    before = digests(folder / name)
    mounts.make_read_only(folder / name)
    said = fail(mounts.run(folder, "dvc", *PREPARE))
    by_dvc = rf"^ERROR: .*Read-only file system: '{folder / name}/"
    by_the_stage = (
        rf"^prepare: {re.escape(name)}/.*: Read-only file system; mend that and run it again$"
    )
    assert re.search(f"(?m){by_dvc}|{by_the_stage}", said)
    assert digests(folder / name) == before

    mounts.make_writable(folder / name)
    succeed(mounts.run(folder, "dvc", *PREPARE))
    assert results(folder) == results(prepared)


def test_a_stage_names_the_read_only_folder_that_its_first_output_cannot_be_written_to(
    prepared: Path, folder: Path, mounts: Mounts
) -> None:
    edit_a_poem(folder)
    shutil.rmtree(folder / "data/prepared/poetry")
    mounts.make_read_only(folder / "data/prepared")
    said = fail(mounts.run(folder, "dvc", *PREPARE))
    complaint = "data/prepared/poetry: Read-only file system; mend that and run it again"
    assert f"\nprepare: {complaint}\n" in said

    mounts.make_writable(folder / "data/prepared")
    assert succeed(mounts.run(folder, "dvc", *PREPARE)) == ["prepare@poetry"]
    assert results(folder) == results(prepared)


def test_logs_that_cannot_be_written_do_not_cost_the_work(
    built: Path, folder: Path, mounts: Mounts
) -> None:
    mounts.make_read_only(folder / "logs")
    run = mounts.run(folder, "dvc", "repro", "--single-item", "--force", "prepare@poetry")
    assert succeed(run) == ["prepare@poetry"]
    assert "prepare: logs/prepare/poetry.json is not written: Read-only file system\n" in run.stderr
    assert results(folder) == results(built)
