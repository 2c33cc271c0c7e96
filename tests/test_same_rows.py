"""The rows of the sample are those that dvc.lock records, however many processes prepare them."""

import hashlib
import json
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.conftest import ROOT, run_python
from wenmo.config.params_file import TASKS
from wenmo.tasks import preparation
from wenmo.tasks.task import load_task


def recorded(stage: str, output: str) -> str:
    lock = YAML(typ="safe").load((ROOT / "dvc.lock").read_text(encoding="utf-8"))
    (found,) = (out["md5"] for out in lock["stages"][stage]["outs"] if out["path"] == output)
    return str(found)


def md5(folder: Path) -> str:
    """DVC's hash of a folder: that of the list of its files with their hashes."""
    files = [
        {"md5": hashlib.md5(path.read_bytes()).hexdigest(), "relpath": path.name}
        for path in sorted(folder.iterdir(), key=lambda path: path.name)
    ]
    return hashlib.md5(json.dumps(files).encode()).hexdigest() + ".dir"


@pytest.mark.parametrize("task", TASKS)
def test_the_sample_gives_the_recorded_rows(task: str, tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    for stage in ("prepare", "summarize", "merge"):
        raw = [str(ROOT / f"data/sample/{task}")] if stage == "prepare" else []
        run = run_python(ROOT / f"stages/{stage}.py", task, *raw, cwd=tmp_path)
        assert run.returncode == 0, run.stderr
    assert sorted(path.name for path in (tmp_path / "data/merged").iterdir()) == [task]
    for stage in ("prepare", "merge"):
        output = f"data/{stage.removesuffix('e')}ed/{task}"
        assert md5(tmp_path / output) == recorded(f"{stage}@{task}", output)


@pytest.mark.parametrize("task", TASKS)
def test_several_processes_write_the_recorded_rows_too(
    task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparation, "CHARACTERS_WORTH_A_PROCESS", 1)
    monkeypatch.setattr(preparation, "CHARACTERS_AT_ONCE", 2000)
    module = load_task(task)
    params = module.PrepareParams.load("prepare", task, ROOT / "params.yaml")
    params = params.model_copy(update={"processes": 3})
    raw = preparation.survey(module, ROOT / f"data/sample/{task}", params)
    assert preparation.number_of_processes(raw, params) == 3
    sources = tmp_path / "sources"
    sources.mkdir()
    with (tmp_path / "rejected").open("w", encoding="utf-8") as rejected:
        preparation.prepare_texts(module, raw, params, sources, rejected)
    assert md5(sources) == recorded(f"prepare@{task}", f"data/prepared/{task}")
