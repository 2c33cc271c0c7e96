"""Training with weights, gradients and optimizer states in shards, by configs/, on a CPU.

accelerate has FSDP2 for devices alone and takes these processes for some (tests/shards_on_cpu).
ZeRO-3 takes them as they are.
"""

import importlib.util
import json
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.conftest import ROOT, digests
from tests.test_interruption import (
    NO_DROPOUT,
    arguments,
    curve,
    finish,
    last_checkpoint,
    start,
    steps_seen,
    trained_bytes,
    training_folder,
)

pytestmark = pytest.mark.full

KINDS = {"fsdp": "FSDP", "deepspeed_zero3": "DEEPSPEED"}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a configuration."""
    if request.param == "deepspeed_zero3" and importlib.util.find_spec("deepspeed") is None:
        pytest.skip("DeepSpeed is not installed: `make .venv/.installed-test-full`")
    monkeypatch.setenv("DS_ACCELERATOR", "cpu")
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "tests/shards_on_cpu"))
    return str(request.param)


def launcher(kind: str, processes: int) -> Sequence[str]:
    """What `train.launcher` says, less what it says of GPUs."""
    command = f"accelerate launch --config_file {ROOT}/configs/{kind}.yaml"
    return f"{command} --num_processes {processes} --mixed_precision no".split()


@pytest.mark.parametrize("processes", [2, 4])
def test_shards_learn_as_one_process_does_with_the_same_rows_a_step(
    small_base: Path, tmp_path: Path, kind: str, processes: int
) -> None:
    def folder(processes: int) -> Path:
        return training_folder(
            tmp_path / f"{processes}",
            small_base,
            max_steps=10,
            per_device_train_batch_size=4 // processes,
            logging_steps=1,
            **NO_DROPOUT,
        )

    one, several = folder(1), folder(processes)
    finish(start(one))
    finish(start(several, *launcher(kind, processes)))
    assert curve(several) == pytest.approx(curve(one), rel=1e-4)
    log = json.loads((several / "logs/train/poetry.json").read_text())
    assert (log["devices"], log["distribution"]) == (processes, KINDS[kind])
    assert sorted(digests(several / "models/adapters/poetry")) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]


def test_a_node_that_is_lost_costs_the_steps_since_the_newest_checkpoint(
    small_base: Path, tmp_path: Path, kind: str
) -> None:
    alone = training_folder(tmp_path / "alone", small_base, max_steps=150, save_steps=5)
    finish(start(alone, *launcher(kind, 2)))
    folder = training_folder(tmp_path / "lost", small_base, max_steps=150, save_steps=5)
    process = start(folder, *launcher(kind, 2))
    steps_seen(process, 12)
    # One of the two processes.
    children = subprocess.run(
        ["pgrep", "--parent", str(process.pid)], capture_output=True, text=True, check=True
    )
    os.kill(int(children.stdout.split()[-1]), signal.SIGKILL)
    process.communicate()
    assert process.returncode != 0
    assert 10 <= last_checkpoint(folder) < 150
    finish(start(folder, *launcher(kind, 2)))
    assert arguments(folder)["eval_on_start"] is False
    assert trained_bytes(folder) == trained_bytes(alone)
