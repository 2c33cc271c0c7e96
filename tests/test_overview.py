"""What a run ends with: verdict, account of the texts, page and next command."""

from pathlib import Path
from typing import Any

import pytest
from dvc.repo import Repo
from dvc.repo.reproduce import plan_repro

from tests.conftest import ROOT
from tests.small_report import SCORES
from wenmo.core.records import write_csv, write_json
from wenmo.report.overview import overview

GRAPH = Repo(str(ROOT)).index.graph
LOSS = {"loss_per_character": 5.0}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_metrics(task: str, sources: dict[str, tuple[int, int]], **changes: Any) -> None:
    """What prepare, merge and evaluate tell; `sources` have documents and rows."""
    counts = [
        {"source": name, "documents": documents, "rows": rows}
        for name, (documents, rows) in sources.items()
    ]
    write_csv(Path(f"metrics/prepare/{task}.csv"), counts)
    prepared = {key: sum(each[key] for each in counts) for key in ("documents", "rows")}
    dropped = changes.pop("dropped_rows", {})
    malformed = changes.pop("malformed", 0)
    prepared |= {"malformed": malformed, "dropped_rows": dropped}
    write_json(Path(f"metrics/prepare/{task}.json"), prepared)
    write_json(Path(f"metrics/train/{task}.json"), {"eval_loss_rose": changes.pop("rose", 0)})
    merged = {"train": 100, "eval": 24, "chosen_block_rows": 0, "dropped": {}}
    write_json(Path(f"metrics/merge/{task}.json"), merged | changes)
    losses = {model: SCORES[model] | LOSS for model in ("base", "tuned")}
    books = {"books": len(sources)} if task == "novel" else {}
    write_json(Path(f"metrics/evaluate/{task}.json"), SCORES | losses | books)


def told(task: str) -> str:
    return " ".join(overview([task]).split())


def test_a_run_tells_verdict_interval_page_and_what_to_do_next(folder: Path) -> None:
    write_metrics("poetry", {"a.csv": (124, 124)})
    text = told("poetry")
    assert "poetry: Tuned" in text
    assert "exact form ↑ 0.000 → 0.500, gain +0.500 (95% interval +0.250 to +0.750)" in text
    assert "124 poems read and used" in text and "left out" not in text
    assert "reports/poetry.html" in text
    assert "`wenmo write --task poetry`" in text and "`wenmo show`" in text


def test_every_poem_that_is_not_used_is_counted_with_the_reason(folder: Path) -> None:
    dropped = {"near_duplicate": 2, "over_max_train_rows": 98, "duplicate": 0}
    poems = {"a.csv": (300, 224)}
    write_metrics(
        "poetry", poems, dropped_rows={"uneven": 70, "empty": 6}, dropped=dropped, malformed=1
    )
    text = told("poetry")
    assert "300 poems read, 224 used" in text
    assert "76 poems left out: 70 uneven, 6 empty (data/rejected/poetry.jsonl)" in text
    assert "1 malformed row skipped" in text
    assert "100 poems learnt from, 24 held out" in text
    assert "100 poems left out: 2 near-duplicates, 98 beyond merge.max_train_rows" in text


def test_books_are_counted_as_books_and_those_without_a_passage_are_named(folder: Path) -> None:
    write_metrics("novel", {"雪": (1, 124), "志异": (1, 0)}, chosen_block_rows=5)
    text = told("novel")
    assert "2 books read, 1 used (not 志异)" in text
    blocks = "in blocks of 5 passages, since there are too few books"
    assert f"100 passages learnt from, 24 held out {blocks}" in text


def test_passages_with_their_prompts_are_no_books(folder: Path) -> None:
    write_metrics("novel", {"rows.jsonl": (130, 124)})
    assert "130 passages read, 124 used" in told("novel")


def test_training_for_too_long_is_told_with_the_way_out(folder: Path) -> None:
    write_metrics("novel", {"雪": (1, 124)})
    assert "rose" not in told("novel")
    write_metrics("novel", {"雪": (1, 124)}, rose=1)
    assert "the held-out loss rose in training" in told("novel")
    assert "`dvc exp run -S train.load_best_model_at_end=true`" in told("novel")


def test_one_book_is_one_book(folder: Path) -> None:
    write_metrics("novel", {"雪": (1, 124)})
    text = told("novel")
    assert "1 book read and used" in text
    assert "All rows are from one book, and the result holds for that book alone." in text


@pytest.mark.parametrize("stage", GRAPH, ids=lambda stage: str(stage.addressing))
def test_any_run_ends_with_the_overview(stage: Any) -> None:
    *_, last = plan_repro(GRAPH, [stage], downstream=True)
    assert last.addressing == "overview"


def test_the_overview_is_never_taken_from_an_earlier_run_in_silence() -> None:
    """DVC restores an output of its run cache without a word, but none that persists."""
    (stage,) = (each for each in GRAPH if each.addressing == "overview")
    assert all(out.persist for out in stage.outs) and stage.outs
