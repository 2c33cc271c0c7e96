"""The stages prepare and summarize as DVC runs them, and the ledger that they leave."""

import json
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from tests.conftest import PREPARE, ROOT, run_python
from wenmo.config.novel import PassageParams
from wenmo.config.prepare import QualityParams
from wenmo.core.errors import UserError
from wenmo.tasks import novel, preparation
from wenmo.tasks.ledger import SourceLedger
from wenmo.tasks.preparation import number_of_processes, prepare_all
from wenmo.tasks.task import Document
from wenmo.text.sentences import CLOSING_QUOTES
from wenmo.tools import cli

PARAMS = novel.PrepareParams(
    **PREPARE
    | {
        "quality": QualityParams(
            min_han_share=0.5, max_gap_share=0.01, max_repetition=0.3, min_vernacular_share=0.3
        )
    },
    include=[],
    exclude=[],
    passages=PassageParams(minimum=8, target=12, maximum=20),
)
BOOK = st.lists(
    st.sampled_from(
        [
            "第一章 雪夜\n",
            "他看着雪，等了一夜。",
            "“走了？”她问道。\n",
            "”他没有说话。",
            "……",
            "山之高也，雪之深乎，不知所之。",
            "□□□",
            "＊＊＊\n",
            "请收藏www.a.com。",
            "<br>&nbsp;",
            "①注\n",
            "雪①落",
            "，",
            "\u3000\ufeff \r\n",
            "ABCDEFGHIJK",
        ]
    ),
    max_size=40,
).map("".join)


@given(BOOK | st.text())
def test_no_character_is_lost_outside_the_counted_drops(text: str) -> None:
    document = Document("书", 1, text)
    prepared = novel.prepare(document, PARAMS)
    ledger = SourceLedger()
    ledger.add(document, prepared, to_simplified=False)
    assert ledger.characters_read == ledger.characters + sum(ledger.dropped_characters.values())
    for row in prepared.rows:
        assert PARAMS.passages.minimum <= len(row.output) <= PARAMS.passages.maximum
        assert row.output[0] not in CLOSING_QUOTES


@given(st.lists(BOOK, min_size=2, max_size=4))
def test_what_is_kept_stands_in_the_text_in_order(books: list[str]) -> None:
    for text in books:
        prepared = novel.prepare(Document("书", 1, text), PARAMS)
        positions = [row.position for row in prepared.rows]
        assert positions == sorted(set(positions))
        assert len({row.id for row in prepared.rows}) == len({r.output for r in prepared.rows})


def books(count: int) -> list[Document]:
    return [Document(f"书{n}", n, "他看着雪，等了一夜。\n" * (n + 1) * 20) for n in range(count)]


def test_any_number_of_processes_gives_the_same_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preparation, "CHARACTERS_WORTH_A_PROCESS", 1)
    params = PARAMS.model_copy(update={"processes": 3})
    assert number_of_processes(books(7), params) == 3
    assert list(prepare_all(novel, books(7), params)) == list(prepare_all(novel, books(7), PARAMS))


def test_little_work_starts_no_process() -> None:
    assert number_of_processes(books(7), PARAMS.model_copy(update={"processes": 8})) == 1


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Path]:
    """A folder with params.yaml and the sample novels, as the stages see the repository."""
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    raw = tmp_path / "raw"
    raw.mkdir()
    for name in ("train.jsonl", "test.jsonl"):
        (raw / name).write_bytes((ROOT / "data/sample/novel" / name).read_bytes())
    yield tmp_path


def run_stage(workspace: Path, stage: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_python(ROOT / f"stages/{stage}.py", "novel", *arguments, cwd=workspace)


def set_params(workspace: Path, **prepare: object) -> None:
    yaml = YAML()
    content = yaml.load((workspace / "params.yaml").read_text(encoding="utf-8"))
    content["prepare"].update(prepare)
    yaml.dump(content, workspace / "params.yaml")


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_adding_a_book_changes_only_its_own_files(workspace: Path) -> None:
    def rows() -> dict[str, bytes]:
        assert run_stage(workspace, "prepare", "raw").returncode == 0
        assert run_stage(workspace, "summarize").returncode == 0
        folders = [workspace / f"data/{stage}/novel" for stage in ("prepared", "summarized")]
        return {f"{folder}/{name}": b for folder in folders for name, b in files(folder).items()}

    before = rows()
    book = {"name": "新书", "text": "他看着窗外的雪，想起了去年的事，一夜没有睡着。\n" * 3}
    book["text"] += (ROOT / "data/sample/general/prose.txt").read_text(encoding="utf-8")[:2000]
    with (workspace / "raw/train.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(book, ensure_ascii=False) + "\n")
    after = rows()
    assert {path for path in after if before.get(path) != after[path]} == {
        f"{workspace}/data/{stage}/novel/新书.jsonl" for stage in ("prepared", "summarized")
    }


def test_rejects_are_written_where_asked(workspace: Path) -> None:
    rejected = workspace / "data/rejected/novel.jsonl"
    assert run_stage(workspace, "prepare", "raw").returncode == 0
    assert rejected.read_text() == ""
    set_params(workspace, keep_rejects=True)
    assert run_stage(workspace, "prepare", "raw").returncode == 0
    lines = [json.loads(line) for line in rejected.read_text(encoding="utf-8").splitlines()]
    metrics = json.loads((workspace / "metrics/prepare/novel.json").read_text())
    assert {line["reason"] for line in lines} == set(metrics["dropped_characters"])
    assert all(line["source"] and line["text"] for line in lines)


def test_malformed_rows_are_counted_in_the_ledger_where_asked(workspace: Path) -> None:
    with (workspace / "raw/train.jsonl").open("ab") as file:
        file.write(b'{"name": "\xff"}\n{"name": "a", "text": 5}\n')
    refused = run_stage(workspace, "prepare", "raw")
    assert refused.returncode == 1
    assert refused.stderr == "prepare: raw/train.jsonl:4: not UTF-8: invalid start byte\n"
    assert not (workspace / "data").exists()
    set_params(workspace, skip_malformed=True)
    assert run_stage(workspace, "prepare", "raw").returncode == 0
    assert json.loads((workspace / "metrics/prepare/novel.json").read_text())["malformed"] == 2


def test_a_book_of_50_megabytes_on_one_line_goes_through(workspace: Path) -> None:
    draw = random.Random(1)
    characters = "".join(draw.choices([chr(code) for code in range(0x4E00, 0x5E00)], k=100_000))
    starts = (draw.randrange(99_900) for _ in range(600_000))
    text = "".join(characters[at : at + 28] + draw.choice("，，；。") for at in starts)
    assert len(text.encode()) > 50_000_000
    line = json.dumps({"name": "长书", "text": text}, ensure_ascii=False)
    (workspace / "raw/train.jsonl").write_text(line + "\n", encoding="utf-8")
    run = run_stage(workspace, "prepare", "raw")
    assert run.returncode == 0, run.stderr[-2000:]
    metrics = json.loads((workspace / "metrics/prepare/novel.json").read_text())
    assert metrics["characters_read"] == len(text)
    assert metrics["characters"] + sum(metrics["dropped_characters"].values()) == len(text)


def test_no_text_that_can_be_used_is_told(workspace: Path) -> None:
    (workspace / "raw/train.jsonl").write_text('{"name": "书", "text": "短。"}\n', encoding="utf-8")
    run = run_stage(workspace, "prepare", "raw")
    assert run.returncode == 1
    assert run.stderr.splitlines()[-1] == (
        "prepare: raw: no text can be used; dropped {'short': 1}"
    )


def test_inspect_shows_what_prepare_left(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workspace)
    with pytest.raises(UserError, match="run `dvc repro prepare@novel` first"):
        cli.sources_table("novel")
    assert run_stage(workspace, "prepare", "raw").returncode == 0
    table = cli.sources_table("novel")
    metrics = json.loads((workspace / "metrics/prepare/novel.json").read_text())
    for reason, count in metrics["dropped_characters"].items():
        assert reason in table
        assert f" {count:,} " in table.splitlines()[-1]
    assert "绳上的渡口" in table
    assert f"{metrics['characters_read']:,}" in table.splitlines()[-1]
    assert "█" in cli.length_bars("novel")


def test_inspect_refuses_an_unknown_task_in_one_line() -> None:
    run = run_python("-c", "from wenmo.tools.cli import app; app()", "inspect", "poetri")
    assert run.returncode == 2
    assert run.stderr == "inspect: 'poetri' is no task; allowed are novel, fairytale, poetry\n"
