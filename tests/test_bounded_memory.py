"""Memory does not grow with the texts: ten times as many take no more than a fifth on top."""

import json
import random
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.conftest import ROOT, make_row, run_python
from wenmo.core.records import Row, read_json_lines, write_json_lines
from wenmo.core.row_files import SourceWriter
from wenmo.llm import prompt_writer
from wenmo.llm.prompt_writer import in_batches
from wenmo.scoring import copying
from wenmo.scoring.copying import copied

BOOK = 200_000
"""Characters of a book."""

SIGNS = [chr(code) for code in range(0x4E00, 0x5A00)]


def books(count: int) -> Iterator[dict[str, str]]:
    sample = ROOT / "data/sample/novel/train.jsonl"
    text = "\n".join(book["text"] for _, book in read_json_lines(sample))
    text = (text * (BOOK // len(text) + 1))[:BOOK]
    return ({"name": f"书{number}", "text": text} for number in range(count))


def passages(count: int) -> Iterator[Row]:
    draw = random.Random(0)
    for number in range(count):
        row = make_row(number % 100, "".join(draw.choices(SIGNS, k=1500)) + "。")
        yield replace(row, id=f"{number:064}", source=f"书{number // 100:03}")


def peak(folder: Path, stage: str, *arguments: str) -> int:
    content = YAML(typ="safe").load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    # The log counts the memory of one process.
    content["prepare"] |= {"processes": 1, "keep_rejects": True}
    content["merge"] |= {"max_train_rows": 10**9}
    YAML(typ="safe").dump(content, folder / "params.yaml")
    run = run_python(ROOT / f"stages/{stage}.py", "novel", *arguments, cwd=folder)
    assert run.returncode == 0, run.stderr
    log = folder / f"logs/{stage}/novel.json"
    return int(json.loads(log.read_text(encoding="utf-8"))["peak_mebibytes"])


def test_prepare_holds_a_book_at_a_time(tmp_path: Path) -> None:
    peaks = []
    for count in (2, 20):
        write_json_lines(tmp_path / f"raw{count}/train.jsonl", books(count))
        peaks.append(peak(tmp_path, "prepare", f"raw{count}"))
    assert peaks[1] <= 1.2 * peaks[0]


def test_merge_holds_no_texts(tmp_path: Path) -> None:
    peaks = []
    for count in (200, 2000):
        folder = tmp_path / str(count)
        (folder / "data/summarized/novel").mkdir(parents=True)
        with SourceWriter(folder / "data/summarized/novel") as writer:
            writer.write(passages(count))
        peaks.append(peak(folder, "merge"))
        assert [path.name for path in (folder / "data/merged").iterdir()] == ["novel"]
    assert peaks[1] <= 1.2 * peaks[0]


def test_what_was_copied_is_sought_without_holding_the_training_texts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(copying, "SORTED_TOGETHER", 50_000)
    peaks = []
    for count in (60, 300):
        texts = (row.output for row in passages(count))
        tracemalloc.start()
        copied([SIGNS[0] * 20], texts)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] <= 1.2 * peaks[0]


@pytest.mark.parametrize("count", [0, 1, 5, 9, 10, 11, 23])
def test_summarize_takes_rows_in_batches_of_which_none_is_short(
    monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr(prompt_writer, "BATCH", 5)
    rows = [make_row(position) for position in range(count)]
    batches = list(in_batches(rows))
    assert [row for batch in batches for row in batch] == rows
    assert all(5 <= len(batch) <= 10 for batch in batches) or len(batches) <= 1
