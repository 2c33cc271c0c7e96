import json
import platform
from pathlib import Path

import pytest

from tests.conftest import ROOT, run_python
from wenmo.errors import ParamsError, UserError
from wenmo.stage import running


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (UserError("rows.jsonl:3: not JSON"), 1, "train: rows.jsonl:3: not JSON\n"),
        (ParamsError("params.yaml: seed: missing"), 2, "train: params.yaml: seed: missing\n"),
        (KeyboardInterrupt(), 130, "train: stopped\n"),
    ],
)
def test_an_end_is_one_line_and_an_exit_code(
    error: BaseException, code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught, running("train", "poetry"):
        raise error
    assert caught.value.code == code
    assert capsys.readouterr().err == line
    assert not Path("logs").exists()


def test_a_fault_of_ours_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError), running("train", "poetry"):
        raise ZeroDivisionError


def test_what_a_stage_cost_is_logged_outside_dvc() -> None:
    with running("train", "poetry"):
        pass
    cost = json.loads(Path("logs/train/poetry.json").read_text())
    assert list(cost) == ["seconds", "peak_mebibytes"]
    assert cost["peak_mebibytes"] > 0


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the pins are for x86")
@pytest.mark.parametrize("threads", ["1", "2", "7"])
def test_the_code_path_is_pinned_before_torch_is_loaded(threads: str) -> None:
    program = (
        "import wenmo.stage, torch, os;"
        "print(torch.backends.cpu.get_cpu_capability(), os.environ['MKL_CBWR'],"
        " torch.get_num_threads())"
    )
    run = run_python("-c", program, environment={"OMP_NUM_THREADS": threads})
    assert run.stdout.split() == ["AVX2", "COMPATIBLE", "2"]


@pytest.mark.parametrize("script", sorted((ROOT / "stages").glob("*.py")), ids=lambda p: p.stem)
def test_every_stage_explains_itself(script: Path) -> None:
    run = run_python(script, "--help")
    assert run.returncode == 0
    assert f"PYTHONPATH=src python stages/{script.name}" in run.stdout
