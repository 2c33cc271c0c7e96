"""The benchmarks: peers, turns, ratios, the fit, and a page that is made of its results."""

import json
import re
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest
from bench import books, corpus, duplicates, growth, page, pipeline, prepare, start_up
from bench.peers import rouge, splitter
from bench.rounds import in_turn, ratio, spread

from tests.conftest import ROOT


def test_the_splitter_has_the_faults_of_the_baseline() -> None:
    long = "雨" * 799
    assert splitter.passages(f"“走吧。”{long}。停。") == ["“走吧", f"”{long}", "停"]
    assert max(map(len, splitter.passages("一。" * 1000))) == splitter.LONGEST


def test_rouge_score_sees_chinese_through_its_characters() -> None:
    score = rouge.scorer()
    assert score("床前明月光", "床前明月光") == 1
    assert score("床前明月光", "疑是地上霜") == 0


def test_drawn_novels_have_their_length_and_are_always_the_same(tmp_path: Path) -> None:
    corpus.write_novels(tmp_path, corpus.BOOK + 7)
    lines = (tmp_path / "train.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [json.loads(line)["text"] for line in lines]
    assert [len(text) for text in texts] == [corpus.BOOK, 7]
    assert texts[0] == corpus.book(corpus.BOOK, seed=0) != corpus.book(corpus.BOOK, seed=1)


@pytest.mark.full
def test_planted_copies_are_found_by_wenmo_and_by_datasketch(tmp_path: Path) -> None:
    runs = duplicates.measure(tmp_path, 0.3)["runs"]
    theirs, ours = runs["datasketch"][0], runs["wenmo"][0]
    assert ours["true"] == ours["found"] > 0 == ours["wrong"]
    assert theirs["found"] > 0


def test_contenders_take_turns_and_every_other_round_goes_backwards() -> None:
    came: list[str] = []
    contenders = {name: lambda name=name: came.append(name) or {"rows": 1} for name in "ab"}
    runs = in_turn(contenders, 3, "turns")
    assert came == ["a", "b", "b", "a", "a", "b"]
    assert [len(own) for own in runs.values()] == [3, 3]


def test_a_ratio_is_that_of_one_round() -> None:
    """Both contenders are slow in the second round, in which other work slows the machine."""
    ours = [{"rows": 10, "seconds": 1.0}, {"rows": 10, "seconds": 5.0}]
    theirs = [{"rows": 10, "seconds": 2.0}, {"rows": 10, "seconds": 10.0}]
    assert ratio(ours, theirs, "rows").shown(1) == "2.0"
    assert spread([1.0, 2.0, 4.0]).shown(1) == "2.0 (1.0 to 4.0)"


@pytest.mark.parametrize("power", [0.5, 1, 2])
def test_the_exponent_of_a_power_is_found(power: float) -> None:
    sizes = [1e6, 4e6, 16e6]
    assert growth.exponent(sizes, [3 * size**power for size in sizes]) == pytest.approx(power)


def test_the_page_is_made_of_the_committed_results(monkeypatch: pytest.MonkeyPatch) -> None:
    written: dict[Path, str] = {}
    monkeypatch.setattr(page, "write_text", lambda path, text: written.update({path: text}))
    page.write_page()
    assert page.PAGE in written
    for path, text in written.items():
        assert text == path.read_text(encoding="utf-8"), f"{path}: run `python -m bench.page`"


def test_committed_results_are_of_the_whole_work_and_name_no_path() -> None:
    results = page.read_results()
    assert {result["scale"] for result in results.values()} == {1}
    # kernels-community/flash-attn2 is none.
    assert not re.search(r"""["' ]/\w""", json.dumps(results))
    assert max(growth.exponents(results["growth"]["runs"]).values()) <= growth.MOST


@pytest.mark.full
def test_measuring_writes_a_result_with_its_machine(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench", "prepare", "--scale", "0.002", "--results", tmp_path]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    result = json.loads((tmp_path / "prepare.json").read_text(encoding="utf-8"))
    assert result["machine"]["cores"] >= 1
    runs = list(chain.from_iterable(result["runs"].values()))
    assert {run["characters"] for run in runs} == {20_000}
    assert all(run["seconds"] > 0 and run["peak_mebibytes"] > 0 for run in runs)
    assert prepare.tables(result)


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


def test_params_yaml_has_the_value_that_is_changed() -> None:
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    assert text.count(pipeline.PARAMETER.format(pipeline.TOKENS)) == 1


def test_every_stage_of_the_pipeline_is_started() -> None:
    assert set(start_up.STAGES) == {path.stem for path in (ROOT / "stages").glob("*.py")}


def test_novels_in_other_forms_give_the_same_passages(tmp_path: Path) -> None:
    forms = books.compare(ROOT / "data/sample/novel", tmp_path)
    assert [name for name, *_ in forms] == [*books.FORMS, books.BIG5]
    for name, _, _, share, _ in forms:
        most = 0.08 if name.startswith("wrapped") else 0
        assert float(share.removesuffix("%")) / 100 <= most, forms
