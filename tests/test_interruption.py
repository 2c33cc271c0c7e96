"""A training that is killed, stopped or spread over processes ends as one that was left alone."""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.conftest import ROOT, digests
from tests.small_training import ROWS
from wenmo.records import write_records

KILLS = 10
TRAINED = ("models/adapters/poetry", "plots/train/poetry", "metrics/train")


def training_folder(folder: Path, base: Path, **train: object) -> Path:
    """A folder with all that stages/train.py poetry reads."""
    yaml = YAML()
    content = yaml.load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    # Curve points, measurements and checkpoints fall on different steps.
    content["train"] |= {
        "max_steps": 40,
        "max_length": 128,
        "logging_steps": 3,
        "eval_steps": 7,
        "save_steps": 2,
        **train,
    }
    folder.mkdir()
    yaml.dump(content, folder / "params.yaml")
    shutil.copytree(base, folder / "models/base")
    write_records(folder / "data/merged/poetry/train.jsonl", ROWS[:5])
    write_records(folder / "data/merged/poetry/eval.jsonl", ROWS[5:])
    return folder


def start(folder: Path, *launcher: str, **environment: str) -> subprocess.Popen[str]:
    """The stage's process, with one thread and without the outputs that DVC would remove."""
    for output in TRAINED:
        shutil.rmtree(folder / output, ignore_errors=True)
    return subprocess.Popen(
        [*(launcher or (sys.executable,)), str(ROOT / "stages/train.py"), "poetry"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"} | environment,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> None:
    errors = process.communicate()[1]
    assert process.returncode == 0, errors[-3000:]


def trained_bytes(folder: Path) -> dict[str, dict[str, str]]:
    return {output: digests(folder / output) for output in TRAINED}


def steps_seen(process: subprocess.Popen[str], step: int) -> None:
    """Read the progress bar until the training is past a step."""
    assert process.stderr is not None
    read = ""
    while character := process.stderr.read(1):
        read = (read + character)[-200:]
        found = re.search(r"(\d+)/40 \[", read)
        if found and int(found[1]) >= step:
            return


@pytest.fixture(scope="module")
def left_alone(
    small_base: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, str]]:
    folder = training_folder(tmp_path_factory.mktemp("alone") / "run", small_base)
    finish(start(folder))
    return trained_bytes(folder)


def test_killed_at_random_moments_it_ends_with_the_same_bytes(
    small_base: Path, tmp_path: Path, left_alone: dict[str, dict[str, str]]
) -> None:
    folder = training_folder(tmp_path / "run", small_base)
    draw = random.Random(5)
    resumed_from = []
    for _ in range(KILLS):
        process = start(folder)
        step = max(
            (int(p.name.split("-")[1]) for p in folder.glob("checkpoints/poetry/*/c*")), default=0
        )
        resumed_from.append(step)
        steps_seen(process, min(39, step + draw.randint(0, 6)))
        process.kill()
        process.communicate()
    assert sorted(resumed_from) == resumed_from
    assert resumed_from[-1] > 0
    finish(start(folder))
    assert trained_bytes(folder) == left_alone


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_stopped_by_a_signal_it_saves_says_where_and_goes_on(
    small_base: Path,
    tmp_path: Path,
    left_alone: dict[str, dict[str, str]],
    sent: signal.Signals,
) -> None:
    folder = training_folder(tmp_path / "run", small_base, save_steps=30)
    process = start(folder)
    steps_seen(process, 10)
    process.send_signal(sent)
    errors = process.communicate()[1]
    assert process.returncode == 128 + sent
    stopped = re.search(
        r"^train: stopped after step (\d+) of 40; the same command goes on from there$",
        errors.splitlines()[-1],
    )
    assert stopped
    assert [path.name for path in folder.glob("checkpoints/poetry/*/check*")] == [
        f"checkpoint-{stopped[1]}"
    ]
    process = start(folder)
    errors = process.communicate()[1]
    assert process.returncode == 0
    first = re.search(r"(\d+)/40 \[", errors)
    assert first
    assert trained_bytes(folder)["models/adapters/poetry"] == left_alone["models/adapters/poetry"]
    assert trained_bytes(folder) == left_alone
