from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenizers import Tokenizer

from wenmo.records import Generation
from wenmo.scoring.comparison import compare
from wenmo.scoring.length import length_score
from wenmo.scoring.metrics import paired_metrics
from wenmo.scoring.overlap import bleu, chrf, rouge_l, rouge_n
from wenmo.scoring.repetition import distinct, sequence_repetition
from wenmo.scoring.scorecard import Scorecard, score
from wenmo.scoring.verse import exact_form, rhymed

CHINESE = st.text("雪山人间。，\n ", max_size=40)
POEM = "雪落千山静，风来一叶轻。\n灯前翻旧信，窗外过车声。"


class Characters(Tokenizer):
    def tokenize(self, text: str) -> list[str]:
        return list("".join(text.split()))


ORACLE = RougeScorer(["rouge1", "rouge2", "rougeL"], tokenizer=Characters())


@given(text=CHINESE, reference=CHINESE)
def test_rouge_equals_rouge_score_with_a_character_tokenizer(text: str, reference: str) -> None:
    expected = ORACLE.score(reference, text)
    assert rouge_n(text, reference, 1) == pytest.approx(expected["rouge1"].fmeasure)
    assert rouge_n(text, reference, 2) == pytest.approx(expected["rouge2"].fmeasure)
    assert rouge_l(text, reference) == pytest.approx(expected["rougeL"].fmeasure)


def test_the_same_text_scores_1_and_an_empty_one_0() -> None:
    for overlap in (bleu, chrf):
        assert overlap([POEM], [POEM]) == pytest.approx(1)
        assert overlap([""], [POEM]) == 0
    assert rouge_l(POEM, POEM) == 1
    assert rouge_l("", POEM) == rouge_n("", POEM, 2) == length_score("", POEM) == 0


def test_repetition_is_seen() -> None:
    assert distinct(["雪山人间"], 2) == 1
    assert distinct(["雪雪雪雪雪"], 2) == 0.25
    assert sequence_repetition(["雪山人间" * 3], 4) == pytest.approx(5 / 9)
    assert sequence_repetition(["雪山人间春"], 4) == 0
    assert distinct([""], 2) == 0
    assert sequence_repetition([""], 4) == 1


@pytest.mark.parametrize(
    ("length", "expected"),
    [(100, 1), (200, 2 / 3), (400, 0), (500, 0), (50, 0.5), (20, 0), (0, 0)],
)
def test_the_length_score_is_longbench_write_s(length: int, expected: float) -> None:
    assert length_score("雪" * length, "山" * 100) == pytest.approx(expected)


def test_form_and_rhyme() -> None:
    assert exact_form(POEM, POEM)
    assert rhymed(POEM)
    assert not exact_form(POEM.split("\n")[0], POEM)
    assert not exact_form(POEM.replace("轻", "轻轻"), POEM)
    assert not exact_form("", POEM)
    assert not rhymed(POEM.replace("声", "铃").replace("轻", "雪"))


def test_a_paired_comparison_is_positive_where_tuned_is_better() -> None:
    base, tuned = [5.0, 6.0, 7.0, 6.5, 5.5, 6.2, 7.1, 5.9], [4.0, 5.1, 6.2, 5.4, 4.4, 5.3, 6.2, 5.0]
    result = compare(base, tuned, higher_is_better=False, resamples=2000, seed=1)
    assert 0 < result["ci_low"] < result["primary"] < result["ci_high"]
    assert result["p_value"] < 0.05
    assert result["win_rate"] == 1
    worse = compare(base, tuned, higher_is_better=True, resamples=2000, seed=1)
    assert worse["primary"] == -result["primary"]
    assert worse["win_rate"] == 0


def test_equal_scores_show_no_difference() -> None:
    result = compare([0.0] * 5, [0.0] * 5, higher_is_better=True, resamples=500, seed=1)
    assert result == {
        "primary": 0.0,
        "ci_low": 0.0,
        "ci_high": 0.0,
        "p_value": 1.0,
        "win_rate": 0.5,
    }


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=10))
def test_the_same_seed_gives_the_same_interval(gains: list[float]) -> None:
    first, second = (compare([0.0] * len(gains), gains, True, 200, seed=3) for _ in range(2))
    assert first == second


def generations(texts: Sequence[str]) -> list[Generation]:
    return [Generation(str(n), "写诗", POEM, text, "stop", 9) for n, text in enumerate(texts)]


def test_metrics_hold_numbers_only_in_a_fixed_order() -> None:
    base = score("poetry", generations(["", "雪"]), [6.0, 6.0])
    tuned = score("poetry", generations([POEM, POEM]), [5.0, 5.0])
    metrics = paired_metrics("poetry", base, tuned, resamples=200, seed=1)
    assert list(metrics) == ["base", "tuned", "delta"]
    assert list(metrics["base"]) == list(metrics["tuned"])
    assert list(metrics["delta"]) == ["primary", "ci_low", "ci_high", "p_value", "win_rate"]
    assert metrics["tuned"]["form"] == metrics["tuned"]["rhyme"] == 1
    assert metrics["base"]["form"] == 0
    assert metrics["delta"]["primary"] == 1
    assert all(isinstance(v, float) for part in metrics.values() for v in part.values())


def test_prose_is_judged_by_its_loss_and_has_no_verse_scores() -> None:
    card = score("novel", generations([POEM, POEM]), [5.0, 4.0])
    assert card.primary == [5.0, 4.0]
    assert "form" not in card.scores
    assert isinstance(card, Scorecard)
