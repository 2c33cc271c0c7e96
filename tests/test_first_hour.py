"""A newcomer's first hour with texts of their own: the commands of README, one after the other.

`pytest -n 0 --junitxml=hour.xml tests/test_first_hour.py` records the minutes of each command.
"""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.test_documents import ENGLISH, fences

pytestmark = pytest.mark.full

SAMPLE = ROOT / "data/sample"
BOOKS = {
    book["name"]: book["text"]
    for line in (SAMPLE / "novel/train.jsonl").read_text("utf-8").splitlines()
    for book in [json.loads(line)]
}
TALES = json.loads((SAMPLE / "fairytale/tales.json").read_text("utf-8"))
with (SAMPLE / "poetry/poems.csv").open(encoding="utf-8", newline="") as file:
    POEMS = list(csv.DictReader(file))

CHINESE_HEADER = {"title": "标题", "content": "内容"}
OWN_TEXTS = "mkdir -p data/raw/novel"
"""What README's commands for own texts begin with."""


@pytest.fixture(scope="module")
def folder(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("newcomer") / "wenmo"
    shutil.copytree(clone, folder)
    return folder


def typed(folder: Path, command: str) -> str:
    """What a command that is typed in the folder says. It must succeed."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    run = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=os.environ | {"PATH": path, "DVC_NO_ANALYTICS": "1", "COLUMNS": "100"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert run.returncode == 0, f"{command}\n{run.stdout[-3000:]}"
    return run.stdout


def put_table(path: Path, columns: dict[str, str], rows: Iterable[dict[str, str]]) -> None:
    """A table as Excel saves it in China, in GBK; `columns` are keys of rows with their names."""
    with path.open("w", encoding="gbk", newline="") as file:
        table = csv.writer(file)
        table.writerow(columns.values())
        table.writerows([row[key] for key in columns] for row in rows)


def put_texts_of_ones_own(raw: Path) -> None:
    first, second, *_ = BOOKS.items()
    (raw / f"novel/{first[0]}.txt").write_text(first[1], encoding="utf-8")
    (raw / f"novel/{second[0]}.txt").write_text(second[1], encoding="gb18030")
    put_table(raw / "poetry/诗.csv", CHINESE_HEADER, POEMS[:300])


def test_own_texts_are_trained_on_compared_traced_and_written_with(
    folder: Path, record_property: Callable[[str, object], None]
) -> None:
    (block,) = [body for _, body in fences(ENGLISH) if body.startswith(OWN_TEXTS)]
    said = {}
    for line in block.splitlines():
        started, command = time.monotonic(), line.partition("  #")[0].strip()
        said[command] = typed(folder, command)
        minutes = round((time.monotonic() - started) / 60, 2)
        print(f"{minutes:6.2f} minutes: {command}")
        record_property(command, minutes)
        if command.startswith(OWN_TEXTS):
            put_texts_of_ones_own(folder / "data/raw")
    runs = [text for command, text in said.items() if command.startswith("dvc ")]
    show, compare, trace, write = list(said.values())[-4:]

    assert len(runs) == 2
    for run in runs:
        end = run[run.rindex("Running stage 'overview'") :]
        assert re.search(r"novel: Tuned .*\n.*95% interval", end)
        assert re.search(r"poetry: Tuned .*\n.*95% interval", end)
        assert "2 books read and used" in end
        assert "300 poems read and used" in end
        assert "reports/novel.html" in end and "reports/poetry.html" in end
        assert "`wenmo write --task poetry`" in end
    assert re.search("^mine ", show, re.M) and re.search("^longer ", show, re.M)
    assert "train.max_steps=300" in show
    assert "train.max_steps" in compare and "data_dir" not in compare
    assert len(re.findall(r"over \d+ held-out rows", compare)) == 2
    assert any(name in trace for name in list(BOOKS)[:2])
    assert len(re.findall("[，。]$", write, re.M)) >= 2


ALONE = {
    "novel": (
        "All rows are from one book, and the result holds for that book alone.",
        "1 book read and used",
    ),
    "fairytale": ("2 rows are too few to be certain", "3 tales read and used"),
    "poetry": ("rows( are|,) too few to (be certain|tell them apart)", "10 poems read and used"),
}


@pytest.mark.parametrize("task", ALONE)
def test_few_texts_end_in_a_verdict_that_says_how_little_it_rests_on(
    folder: Path, task: str
) -> None:
    raw = folder / "data/few" / task
    raw.mkdir(parents=True)
    if task == "novel":
        name, text = next(iter(BOOKS.items()))
        (raw / f"{name}.txt").write_text(text, encoding="utf-8")
    elif task == "fairytale":
        columns = {key: key for key in ("instruction", "output")}
        put_table(raw / "童话.csv", columns, TALES[:3])
    else:
        put_table(raw / "诗.csv", CHINESE_HEADER, POEMS[:10])
    settings = f"-S data_dir=data/few -S 'tasks=[{task}]' -S train.max_steps=5"
    run = typed(folder, f"git restore . && dvc exp run {settings}")
    end = run[run.rindex("Running stage 'overview'") :]
    page = (folder / f"reports/{task}.html").read_text("utf-8")
    basis, read = ALONE[task]
    assert re.search(basis, end) and re.search(basis, page)
    assert read in end
    assert f"`wenmo write --task {task}`" in end
