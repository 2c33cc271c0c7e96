"""The benchmarks compare what they say: peers, turns, fits, and a page that is its results."""

import json
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest
from bench import corpus, duplicates, growth, page, pipeline, start_up
from bench.peers import duplicates as datasketch
from bench.peers import rouge, splitter
from bench.rounds import in_turn, spread, times_faster
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import ROOT
from wenmo.text.sentences import quotes_balance


def test_the_splitter_has_the_faults_of_the_baseline() -> None:
    assert splitter.passages("他说：“走吧。”雨停了。") == ["他说：“走吧”雨停了"]
    assert splitter.passages("“走吧。”" + "雨" * 799 + "。停。") == [
        "“走吧",
        "”" + "雨" * 799,
        "停",
    ]
    assert max(map(len, splitter.passages("一。" * 1000))) == splitter.LONGEST


def test_rouge_score_sees_chinese_through_its_characters() -> None:
    score = rouge.scorer()
    assert score("床前明月光", "床前明月光") == 1
    assert score("床前明月光", "疑是地上霜") == 0


def test_datasketch_finds_what_is_the_same() -> None:
    one, other = corpus.passages(2, 200)
    assert datasketch.near_duplicates([one, other, one], 0.7) == [(0, 2)]


def test_a_drawn_book_has_its_length_and_is_always_the_same() -> None:
    text = corpus.book(5000, seed=3)
    assert len(text) == 5000
    assert text == corpus.book(5000, seed=3) != corpus.book(5000, seed=4)
    assert all(quotes_balance(line) for line in text.splitlines()[:-1])
    assert sum(line.startswith("第") for line in text.splitlines()) > 0


def test_drawn_novels_have_so_many_characters_in_all(tmp_path: Path) -> None:
    corpus.write_novels(tmp_path, 2 * corpus.BOOK + 7)
    lines = (tmp_path / "train.jsonl").read_text(encoding="utf-8").splitlines()
    assert [len(json.loads(line)["text"]) for line in lines] == [corpus.BOOK, corpus.BOOK, 7]


def test_planted_copies_are_found_where_they_are_near_duplicates(tmp_path: Path) -> None:
    (ours,) = {
        (run["true"], run["found"], run["wrong"])
        for run in duplicates.measure(tmp_path, 0.3)["runs"]["wenmo"]
    }
    assert ours[0] == ours[1] > 0
    assert ours[2] == 0


def test_contenders_take_turns_and_every_other_round_goes_backwards() -> None:
    came: list[str] = []

    def contender(name: str) -> dict[str, float]:
        came.append(name)
        return {"rows": 1}

    runs = in_turn({name: lambda name=name: contender(name) for name in "ab"}, 3, "turns")
    assert came == ["a", "b", "b", "a", "a", "b"]
    assert [len(of_one) for of_one in runs.values()] == [3, 3]
    assert all(run["seconds"] >= 0 for of_one in runs.values() for run in of_one)


def test_a_ratio_is_that_of_one_round() -> None:
    """While other work slows the second round, both are slow in it."""
    ours = [{"rows": 10, "seconds": 1.0}, {"rows": 10, "seconds": 5.0}]
    theirs = [{"rows": 10, "seconds": 2.0}, {"rows": 10, "seconds": 10.0}]
    assert times_faster(ours, theirs, "rows") == spread([2.0, 2.0])
    assert spread([2.0, 2.0]).shown(1) == "2.0"
    assert spread([1.0, 2.0, 4.0]).shown(1) == "2.0 (1.0 to 4.0)"


@given(st.floats(0.5, 3), st.floats(1e-3, 1e3))
def test_the_exponent_of_a_power_is_found(power: float, factor: float) -> None:
    sizes = [1e6, 4e6, 16e6]
    seconds = [factor * (size / 1e6) ** power for size in sizes]
    assert growth.exponent(sizes, seconds) == pytest.approx(power)


def test_the_page_is_made_of_the_committed_results(monkeypatch: pytest.MonkeyPatch) -> None:
    written: dict[Path, str] = {}
    monkeypatch.setattr(page, "write_text", lambda path, text: written.update({path: text}))
    page.write_page()
    assert page.PAGE in written
    for path, text in written.items():
        assert text == path.read_text(encoding="utf-8"), f"{path}: run `python -m bench.page`"


def test_no_committed_result_is_of_a_part_of_the_work_or_grows_faster_than_its_text() -> None:
    results = {name: page.read_result(name) for name in page.MEASURED}
    assert all(result and result["scale"] == 1 for result in results.values())
    assert max(growth.exponents(results["growth"] or {}).values()) <= growth.MOST


def test_results_name_no_place_of_the_machine() -> None:
    for path in page.RESULTS.glob("*.json"):
        assert "/" not in path.read_text(encoding="utf-8"), path


def test_measuring_writes_a_result_with_its_machine(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench", "prepare", "--scale", "0.002", "--results", tmp_path]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    result = json.loads((tmp_path / "prepare.json").read_text(encoding="utf-8"))
    assert result["scale"] == 0.002
    assert result["machine"]["cores"] >= 1
    runs = list(chain.from_iterable(result["runs"].values()))
    assert {run["characters"] for run in runs} == {20_000}
    assert all(run["seconds"] > 0 and run["peak_mebibytes"] > 0 for run in runs)
    assert page.module("prepare").tables(result)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing"], "nothing: expected one of prepare, summarize"),
        (["--scale", "0.1"], "--scale: name a folder by --results"),
    ],
)
def test_a_wrong_command_line_is_told(arguments: list[str], said: str) -> None:
    command = [sys.executable, "-m", "bench", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert said in done.stderr


def test_params_yaml_has_the_dial_that_is_turned() -> None:
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    assert text.count(pipeline.DIAL.format(pipeline.TOKENS)) == 1


def test_every_stage_of_the_pipeline_is_started() -> None:
    scripts = {path.stem for path in (ROOT / "stages").glob("*.py")}
    assert {*start_up.DATA, *start_up.MODELS} == scripts
