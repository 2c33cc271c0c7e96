"""The benchmarks of a GPU: within a time, and on a machine without DVC and a network.

What runs there is rehearsed on the versions of such a machine, with few wheels beside them.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from bench import machine
from bench.gpu import growth_of_base, train, turns
from bench.train import SETTINGS

from tests.conftest import ROOT
from wenmo.config.params_file import deep_merge, read
from wenmo.config.train import TrainParams

PYTHON = "python3.12"
ITS_OWN = (
    "torch==2.11.0",
    "transformers==5.17.0",
    "accelerate==1.15.0",
    "peft==0.21.2",
    "matplotlib",
    "pandas",
    "psutil",
    "pyarrow",
    "scipy",
    "lxml",
    "httpx",
)
"""What the machine has already; torch brings CUDA's libraries, which are 3 GB."""


def measure(result: dict[str, Any], seconds: float, **contenders: Any) -> None:
    turns.measure_within(seconds, lambda: contenders, result, lambda: None)


def refused() -> dict[str, float]:
    sys.exit("python stages/train.py:\nsome line\ntrain: optim needs bitsandbytes")


def test_what_no_longer_fits_is_told_and_measured_by_the_next_call() -> None:
    result: dict[str, Any] = {"runs": {}, "missing": {}}
    killed = [sys.executable, "-c", "import time; time.sleep(60)"]
    started = time.monotonic()
    measure(
        result,
        1,
        first=lambda: {"seconds": 1.0},
        refused=refused,
        slow=lambda: subprocess.run(killed, check=True),
        last=lambda: {"seconds": 2.0},
    )
    assert time.monotonic() - started < 30
    assert result["runs"] == {"first": [{"seconds": 1.0}]}
    assert result["missing"] == {
        "refused": "train: optim needs bitsandbytes",
        "slow": turns.NO_TIME,
        "last": turns.NO_TIME,
    }
    again: dict[str, Any] = {"first": pytest.fail, "refused": pytest.fail}
    measure(result, 60, **again, slow=lambda: {"seconds": 3.0}, last=lambda: {"seconds": 2.0})
    assert [*result["runs"]] == ["first", "slow", "last"]
    (table,) = turns.not_measured(result)
    assert "| refused | train: optim needs bitsandbytes |" in table


def test_a_contender_that_breaks_is_told_apart_from_one_that_is_refused() -> None:
    def breaks() -> dict[str, float]:
        sys.exit("python a.py:\nTraceback (most recent call last):\n\nIndexError: no more")

    result: dict[str, Any] = {"runs": {}, "missing": {}}
    measure(result, 60, breaks=breaks, refused=refused)
    assert result["missing"] == {
        "breaks": "failed: IndexError: no more",
        "refused": "train: optim needs bitsandbytes",
    }


def test_a_package_that_is_not_installed_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "LIBRARIES", ("torch", "no-such-package"))
    assert [*machine.describe()["libraries"]] == ["torch"]


@pytest.mark.parametrize("option", train.OPTIONS, ids=train.in_words)
def test_an_option_is_one_of_params_yaml(option: dict[str, Any]) -> None:
    section = deep_merge(read(ROOT / "params.yaml")["train"], SETTINGS)
    assert TrainParams.model_validate(deep_merge(section, train.nested(option)))


def test_a_growth_differs_from_the_base_by_parameters_of_pretraining() -> None:
    section = read(ROOT / "pretraining/params.yaml")["pretrain"]
    assert {key for growth in growth_of_base.GROWTHS.values() for key in growth} <= section.keys()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "name one of train, generate, variance, growth_of_base, or --rehearse"),
        (["train"], 1, "no GPU that torch can use; `--rehearse` tries everything without one"),
    ],
)
def test_without_a_name_or_a_gpu_the_way_out_is_told(
    arguments: list[str], code: int, said: str
) -> None:
    command = [sys.executable, "-m", "bench.gpu", *arguments]
    hidden = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, cwd=ROOT, env=hidden, capture_output=True, text=True)
    assert done.returncode == code
    assert said in done.stderr


def run(*command: str | Path, **options: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": "src:."} | options
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done


@pytest.mark.full
def test_everything_is_rehearsed_with_few_wheels_and_without_dvc(tmp_path: Path) -> None:
    if not shutil.which(PYTHON) or subprocess.run([PYTHON, "--version"]).returncode:
        pytest.skip(f"{PYTHON} is not installed")
    run("bash", "bench/gpu.sh")
    wheels = list((ROOT / "wheels").glob("*.whl"))
    assert sum(wheel.stat().st_size for wheel in wheels) < 60_000_000
    run(PYTHON, "-m", "venv", tmp_path)
    python = tmp_path / "bin/python"
    run(python, "-m", "pip", "install", "--quiet", *ITS_OWN)
    run(python, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", *wheels)
    found = run(python, "-m", "bench.gpu", "--rehearse", "--seconds", "3600").stdout
    for name in ("train", "generate", "variance", "growth_of_base"):
        assert f"`python -m bench.gpu {name}" in found
    assert "wenmo, lora.init_lora_weights=pissa | " in found
    # What is not measured lacks a GPU or a package, and nothing else.
    missing = found.split("| not measured")[1:]
    lines = [line for table in missing for line in table.splitlines() if line.startswith("| wenmo")]
    assert all("needs" in line or "not installed" in line for line in lines)
