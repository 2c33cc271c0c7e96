"""What runs on a bare GPU machine is rehearsed on its versions: no DVC, no network, few wheels."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT

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

pytestmark = pytest.mark.full


def run(*command: str | Path, **options: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": "src:."} | options
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done


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
    found = run(python, "-m", "bench.gpu", "--rehearse").stdout
    for name in ("train", "generate", "variance", "growth_of_base"):
        assert f"`python -m bench.gpu {name}" in found
    assert "wenmo, lora.init_lora_weights=pissa | " in found
    # Whatever is not measured lacks a GPU, a package or nothing else.
    missing = found.split("| not measured")[1:]
    lines = [line for table in missing for line in table.splitlines() if line.startswith("| wenmo")]
    assert all("needs" in line or "not installed" in line for line in lines)
    assert not any(error in found for error in ("Error", "mismatch"))
