"""Stage prepare as DVC runs it: rows, ledger, and outputs that stay until new ones are ready."""

import json
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from tests.conftest import PREPARE, ROOT, digests, run_python
from wenmo.config.novel import PassageParams
from wenmo.config.prepare import QualityParams
from wenmo.core.records import write_json_lines
from wenmo.tasks import novel, preparation
from wenmo.tasks.ledger import entry
from wenmo.tasks.preparation import number_of_processes, prepare_all, survey
from wenmo.tasks.task import Document
from wenmo.text.characters import without_space
from wenmo.text.cleaning import normal_form
from wenmo.text.sentences import CLOSING_QUOTES

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
    prepared = novel.prepare(Document("书", 1, text), PARAMS)
    account = entry(prepared)
    assert account.characters_read == len(without_space(normal_form(text)))
    assert account.characters_read == account.characters + account.dropped_characters.total()
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


@pytest.mark.parametrize("at_once", [1, 500, 10**6])
def test_any_number_of_processes_gives_the_same_rows(
    monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(preparation, "CHARACTERS_AT_ONCE", at_once)
    alone = list(prepare_all(novel, books(9), PARAMS, processes=1))
    assert [document.source for document, *_ in alone] == [book.source for book in books(9)]
    assert list(prepare_all(novel, books(9), PARAMS, processes=3)) == alone


def test_few_documents_are_read_before_the_first_is_prepared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(preparation, "CHARACTERS_AT_ONCE", 1)
    read = list[Document]()
    documents = (read.append(book) or book for book in books(100))
    next(prepare_all(novel, documents, PARAMS, processes=2))
    assert len(read) < 10


@pytest.mark.parametrize(("characters", "processes"), [(10_000, 1), (1_100_000, 2), (10**7, 8)])
def test_little_work_starts_few_processes(tmp_path: Path, characters: int, processes: int) -> None:
    lines = [{"name": f"书{n}", "text": "雪" * (characters // 10)} for n in range(10)]
    write_json_lines(tmp_path / "train.jsonl", lines)
    raw = survey(novel, tmp_path, PARAMS)
    assert number_of_processes(raw, PARAMS.model_copy(update={"processes": 8})) == processes


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


def test_a_book_more_or_less_changes_only_its_own_files(workspace: Path) -> None:
    raw = workspace / "raw/train.jsonl"
    few = raw.read_bytes()

    def rows() -> dict[str, str]:
        assert run_stage(workspace, "prepare", "raw").returncode == 0
        assert run_stage(workspace, "summarize").returncode == 0
        return digests(workspace / "data")

    before = rows()
    book = {"name": "新书", "text": "他看着窗外的雪，想起了去年的事，一夜没有睡着。\n" * 3}
    book["text"] += (ROOT / "data/sample/general/prose.txt").read_text(encoding="utf-8")[:2000]
    raw.write_bytes(few + json.dumps(book).encode() + b"\n")
    after = rows()
    assert {path for path in after if before.get(path) != after[path]} == {
        "prepared/novel/新书.jsonl",
        "summarized/novel/新书.jsonl",
    }
    raw.write_bytes(few)
    assert run_stage(workspace, "prepare", "raw").returncode == 0
    assert digests(workspace / "data/prepared") == {
        path.removeprefix("prepared/"): before[path] for path in before if path[:4] == "prep"
    }


def test_the_raw_texts_are_told_before_they_are_prepared(workspace: Path) -> None:
    with (workspace / "raw/train.jsonl").open("ab") as file:
        file.write(b'{"name": "\xff"}\n{"name": "a", "text": 5}\n')
    set_params(workspace, skip_malformed=True)
    run = run_stage(workspace, "prepare", "raw")
    lines = [line.split() for line in run.stdout.splitlines()]
    assert ["characters", "1", "texts", "绳上的渡口"] in [line[1:] for line in lines]
    assert lines[-2:] == [["24", "test", "prompts"], ["2", "malformed", "rows", "skipped"]]
    assert json.loads((workspace / "metrics/prepare/novel.json").read_text())["malformed"] == 2


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b'{"name": "\xff"}\n', "raw/train.jsonl:1: not UTF-8: invalid start byte"),
        (
            None,
            "raw: no raw texts; expected *.txt or *.html or *.htm or *.json or *.jsonl or *.csv or"
            " *.parquet",
        ),
        (b"\n", "raw: its files hold no text"),
        (
            b'{"name": "a", "text": "b"}\n',
            "raw: no text can be used; left out: 1 short; the bounds are in the sections `prepare`"
            " of params.yaml",
        ),
    ],
    ids=["a malformed row", "an empty folder", "an empty file", "no text that can be used"],
)
def test_outputs_stay_as_they_were_until_new_ones_are_ready(
    workspace: Path, content: bytes | None, complaint: str
) -> None:
    assert run_stage(workspace, "prepare", "raw").returncode == 0
    raw = workspace / "raw/train.jsonl"
    raw.unlink() if content is None else raw.write_bytes(content)
    before = digests(workspace)
    run = run_stage(workspace, "prepare", "raw")
    assert run.returncode == 1
    assert run.stderr.splitlines()[-1] == f"prepare: {complaint}"
    assert digests(workspace) == before


def test_rejects_are_written_unless_they_are_not_to_be_kept(workspace: Path) -> None:
    rejected = workspace / "data/rejected/novel.jsonl"
    set_params(workspace, keep_rejects=False)
    assert run_stage(workspace, "prepare", "raw").returncode == 0
    assert rejected.read_text() == ""
    set_params(workspace, keep_rejects=True)
    assert run_stage(workspace, "prepare", "raw").returncode == 0
    lines = [json.loads(line) for line in rejected.read_text(encoding="utf-8").splitlines()]
    metrics = json.loads((workspace / "metrics/prepare/novel.json").read_text())
    assert {line["reason"] for line in lines} == set(metrics["dropped_characters"])
    assert all(line["source"] and line["text"] for line in lines)


def test_a_book_of_10_megabytes_on_one_line_goes_through(workspace: Path) -> None:
    draw = random.Random(1)
    characters = "".join(draw.choices([chr(code) for code in range(0x4E00, 0x5E00)], k=100_000))
    starts = (draw.randrange(99_900) for _ in range(120_000))
    text = "".join(characters[at : at + 28] + draw.choice("，，；。") for at in starts)
    assert len(text.encode()) > 10_000_000
    line = json.dumps({"name": "长书", "text": text}, ensure_ascii=False)
    (workspace / "raw/train.jsonl").write_text(line + "\n", encoding="utf-8")
    run = run_stage(workspace, "prepare", "raw")
    assert run.returncode == 0, run.stderr[-2000:]
    metrics = json.loads((workspace / "metrics/prepare/novel.json").read_text())
    assert metrics["characters_read"] == len(text)
    assert metrics["characters"] + sum(metrics["dropped_characters"].values()) == len(text)
