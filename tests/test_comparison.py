"""The comparison of tuned with base: intervals, p values, groups and Holm's correction."""

import random
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wenmo.core.records import Generation
from wenmo.scoring.comparison import compare, holm, outcomes
from wenmo.tools.compare import wording
from wenmo.tools.compare.comparison import _decoding

P_VALUES = st.dictionaries(st.sampled_from("abcdef"), st.floats(0, 1), max_size=6)


def noise(count: int, seed: int) -> list[float]:
    draw = random.Random(seed)
    return [draw.gauss(0, 1) for _ in range(count)]


def test_identical_systems_give_an_interval_around_0() -> None:
    truth, first, second = noise(200, 0), noise(200, 1), noise(200, 2)
    base = [mean + part for mean, part in zip(truth, first, strict=True)]
    tuned = [mean + part for mean, part in zip(truth, second, strict=True)]
    result = compare(base, tuned, higher_is_better=True, resamples=2000, seed=1)
    assert result["ci_low"] < 0 < result["ci_high"]
    assert result["p_value"] > 0.05
    same = compare(base, base, higher_is_better=True, resamples=2000, seed=1)
    assert same["primary"] == same["ci_low"] == same["ci_high"] == 0
    assert (same["p_value"], same["win_rate"]) == (1, 0.5)
    assert outcomes(base, base, higher_is_better=True) == {"wins": 0, "ties": 200, "losses": 0}


def test_a_clear_difference_is_positive_if_tuned_is_better() -> None:
    base = [5.0, 6.0, 7.0, 6.5, 5.5, 6.2, 7.1, 5.9]
    tuned = [4.0, 5.1, 6.2, 5.4, 4.4, 5.3, 6.2, 5.0]
    result = compare(base, tuned, higher_is_better=False, resamples=2000, seed=1)
    assert 0 < result["ci_low"] < result["primary"] < result["ci_high"]
    assert result["p_value"] < 0.05
    assert result["win_rate"] == 1
    worse = compare(base, tuned, higher_is_better=True, resamples=2000, seed=1)
    assert (worse["primary"], worse["win_rate"]) == (-result["primary"], 0)


def test_rows_of_a_book_that_are_alike_make_no_surer() -> None:
    books = [str(row // 50) for row in range(600)]
    base = [0.0] * 600
    tuned = [
        (1.3 if int(book) % 2 else -0.7) + part / 10
        for book, part in zip(books, noise(600, 3), strict=True)
    ]
    by_row = compare(base, tuned, True, 2000, 1)
    by_book = compare(base, tuned, True, 2000, 1, groups=books)
    assert by_book["primary"] == by_row["primary"]
    assert by_book["win_rate"] == by_row["win_rate"]
    width, width_by_book = (each["ci_high"] - each["ci_low"] for each in (by_row, by_book))
    assert width_by_book > 3 * width
    assert by_row["p_value"] < 0.05 < by_book["p_value"]


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=10))
def test_the_same_seed_gives_the_same_with_a_group_per_row_or_for_all_or_none(
    gains: list[float],
) -> None:
    base = [0.0] * len(gains)
    plain = compare(base, gains, True, 100, seed=3)
    assert compare(base, gains, True, 100, seed=3) == plain
    names = [f"{row:02}" for row in range(len(gains))]
    assert compare(base, gains, True, 100, seed=3, groups=names) == plain
    assert compare(base, gains, True, 100, seed=3, groups=["book"] * len(gains)) == plain


def test_two_books_can_show_nothing() -> None:
    result = compare([0.0] * 20, [1.0] * 20, True, 500, 1, groups=["甲"] * 5 + ["乙"] * 15)
    assert result["p_value"] == 0.5


def test_rows_won_tied_and_lost() -> None:
    base, tuned = [1.0, 1.0, 1.0, 1.0], [2.0, 1.0, 0.5, 3.0]
    assert outcomes(base, tuned, higher_is_better=True) == {"wins": 2, "ties": 1, "losses": 1}
    assert outcomes(base, tuned, higher_is_better=False) == {"wins": 1, "ties": 1, "losses": 2}


def test_systems_of_unequal_length_are_no_pairs() -> None:
    with pytest.raises(ValueError, match="2 rows of base against 1 of tuned"):
        compare([1.0, 2.0], [1.0], True, 100, 1)


def test_holm_s_correction() -> None:
    # The worked example of R's p.adjust(c(0.01, 0.02, 0.03, 0.04), "holm").
    corrected = holm({"a": 0.01, "d": 0.04, "b": 0.02, "c": 0.03})
    assert corrected == pytest.approx({"a": 0.04, "d": 0.06, "b": 0.06, "c": 0.06})
    assert list(corrected) == ["a", "d", "b", "c"]
    assert holm({}) == {}


@given(P_VALUES)
def test_holm_lowers_no_p_value_and_keeps_their_order(p_values: dict[str, float]) -> None:
    corrected = holm(p_values)
    assert all(p_values[name] <= corrected[name] <= 1 for name in p_values)
    by_size = sorted(p_values, key=lambda name: p_values[name])
    assert [corrected[name] for name in by_size] == sorted(corrected.values())
    if by_size:
        assert corrected[by_size[0]] == min(1, len(by_size) * p_values[by_size[0]])


def test_a_comparison_names_the_scores_that_are_the_decoder_s() -> None:
    def built(name: str, rule: str) -> Any:
        text = Generation("a", "p", "r", "t", "stop", 1, rule)
        return SimpleNamespace(name=name, texts={"a": [text]})

    assert not _decoding(built("main", "free"), built("other", "free"))
    decoding = _decoding(built("main", "free"), built("ruled", "rhyme"))
    (told,) = wording._decoding(cast("Any", SimpleNamespace(decoding=decoding)))
    assert told.startswith("decoded by rule (main free, ruled rhyme): exact form, rhyme (平水)")
    assert told.endswith("not learnt")
