import errno
import json
import os
import platform
from pathlib import Path

import pytest

from tests.conftest import ROOT, run_python
from wenmo.core.errors import ParamsError, UserError
from wenmo.core.stage import run_stage


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (UserError("rows.jsonl:3: not JSON"), 1, "train: rows.jsonl:3: not JSON\n"),
        (ParamsError("params.yaml: seed: missing"), 2, "train: params.yaml: seed: missing\n"),
        (KeyboardInterrupt(), 130, "train: stopped\n"),
        (
            OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
            1,
            "\ntrain: the disk of this folder or of temporary files: No space left on device;"
            " mend that and run it again\n",
        ),
        (
            OSError(errno.EROFS, os.strerror(errno.EROFS), "outputs/poetry"),
            1,
            "\ntrain: outputs/poetry: Read-only file system; mend that and run it again\n",
        ),
    ],
)
def test_an_end_is_one_line_and_an_exit_code(
    error: BaseException, code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught, run_stage("train", "poetry"):
        raise error
    assert caught.value.code == code
    assert capsys.readouterr().err == line
    assert not Path("logs").exists()


def test_a_fault_of_ours_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError), run_stage("train", "poetry"):
        raise ZeroDivisionError


def test_what_a_stage_cost_is_logged_outside_dvc() -> None:
    with run_stage("train", "poetry"):
        pass
    cost = json.loads(Path("logs/train/poetry.json").read_text())
    assert list(cost)[:3] == ["seconds", "peak_mebibytes", "machine"]
    assert cost["peak_mebibytes"] > 0


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the pins are for x86")
@pytest.mark.parametrize("threads", ["1", "2", "7"])
def test_the_code_path_is_pinned_before_torch_is_loaded_and_recorded(
    threads: str, tmp_path: Path
) -> None:
    environment = {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
    program = (
        "from wenmo.core.stage import run_stage\n"
        "import torch\n"
        "with run_stage('train', 'poetry'): torch.ones(1)"
    )
    assert run_python("-c", program, cwd=tmp_path, environment=environment).returncode == 0
    log = json.loads((tmp_path / "logs/train/poetry.json").read_text())
    assert log["vector_unit"] == "AVX2"
    assert log["environment"]["MKL_CBWR"] == "COMPATIBLE"
    assert log["threads"] == 1


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the pins are for x86")
def test_a_processor_that_cannot_take_the_code_path_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: "DEFAULT")
    with run_stage("train", "poetry"):
        pass
    told = "train: torch uses DEFAULT here, not AVX2: expect other bytes\n"
    assert capsys.readouterr().err == told


@pytest.mark.parametrize("script", sorted((ROOT / "stages").glob("*.py")), ids=lambda p: p.stem)
def test_every_stage_explains_itself(script: Path) -> None:
    run = run_python(script, "--help")
    assert run.returncode == 0
    assert f"PYTHONPATH=src python stages/{script.name}" in run.stdout


def test_memory_is_a_process_own_and_not_that_of_who_started_it() -> None:
    """DVC may have taken much more than a stage takes."""
    child = "from wenmo.core.processes import peak_mebibytes; print(peak_mebibytes())"
    parent = f"""
import subprocess, sys
taken = b"x" * 400_000_000
subprocess.run([sys.executable, "-c", {child!r}], check=True)
"""
    assert 1 < int(run_python("-c", parent).stdout) < 200
