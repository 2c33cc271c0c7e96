"""The report's pictures, and the marks in its texts."""

import math
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wenmo.report.charts import WIDTH, axis, interval, lengths, loss_curve, shares
from wenmo.report.marks import shared_runs

FINITE = st.floats(-1e6, 1e6)


def elements(picture: str, name: str) -> list[dict[str, str]]:
    return [element.attrib for element in ET.fromstring(picture).iter(name)]


@given(st.lists(FINITE, min_size=1))
def test_an_axis_holds_its_numbers_and_ends_on_ticks(numbers: list[float]) -> None:
    along = axis(numbers, 40, 300)
    span = along.high - along.low
    assert along.low - 1e-6 * span <= min(numbers) <= max(numbers) <= along.high + 1e-6 * span
    places = [place for place, _ in along.ticks()]
    assert 2 <= len(places) <= 6
    assert places == pytest.approx(sorted(places))
    assert (places[0], places[-1]) == (pytest.approx(40), pytest.approx(300))
    labels = [float(label) for _, label in along.ticks()]
    assert labels == pytest.approx([along.low + n * along.step for n in range(len(labels))])


@given(
    st.lists(st.tuples(st.integers(0, 10**6), FINITE), max_size=5),
    st.lists(st.tuples(st.integers(0, 10**6), FINITE), max_size=5),
)
def test_no_point_of_a_curve_is_off_the_picture(
    training: list[tuple[float, float]], held_out: list[tuple[float, float]]
) -> None:
    picture = loss_curve(training, held_out)
    if not training and not held_out:
        assert picture == ""
        return
    _, _, width, height = map(float, elements(picture, "svg")[0]["viewBox"].split())
    assert width == WIDTH
    for line in elements(picture, "polyline"):
        for point in line["points"].split():
            x, y = map(float, point.split(","))
            assert 0 <= x <= width
            assert 0 <= y <= height


def test_a_loss_curve_tells_both_losses_and_leaves_out_what_is_no_number() -> None:
    picture = loss_curve([(1, 6.8), (5, math.nan), (10, 6.25)], [(0, 6.9), (10, 6.5)])
    assert elements(picture, "svg")[0]["aria-label"] == (
        "training loss goes from 6.80 at step 1 to 6.25 at step 10;"
        " held-out loss goes from 6.90 at step 0 to 6.50 at step 10"
    )
    first, second = elements(picture, "polyline")
    assert (first["class"], len(first["points"].split())) == ("training", 2)
    assert (second["class"], len(second["points"].split())) == ("held-out", 2)
    assert "nan" not in picture


def test_lengths_of_equal_texts_are_one_bar_and_of_different_ones_several() -> None:
    picture = lengths({"references": [24, 24, 24, 24], "base": [0, 80, 150, 300]})
    bars = elements(picture, "rect")
    references = [bar for bar in bars if bar["class"] == "references"]
    base = [bar for bar in bars if bar["class"] == "base"]
    assert (len(references), len(base)) == (1, 4)
    # Bars of one picture compare: each is a quarter of the writer's texts.
    assert float(references[0]["height"]) == pytest.approx(4 * float(base[0]["height"]), abs=0.1)
    assert "references from 24 to 24, median 24; base from 0 to 300, median 115" in picture


def test_lengths_are_drawn_even_if_nothing_was_written() -> None:
    assert "base from 0 to 0" in lengths({"base": [0, 0]})


def test_a_bar_is_as_long_as_its_share() -> None:
    picture = shares({"<form>": {"base": 0.25, "tuned": 1.0}})
    quarter, whole = (float(bar["width"]) for bar in elements(picture, "rect"))
    assert whole == pytest.approx(4 * quarter, abs=0.2)
    (svg,) = elements(picture, "svg")
    assert svg["aria-label"] == "share of poems. <form>: base 25%, tuned 100%"


@pytest.mark.parametrize(("low", "high"), [(0.2, 0.4), (-0.4, 0.2), (-0.4, -0.2)])
def test_an_interval_is_drawn_beside_no_difference(low: float, high: float) -> None:
    picture = interval((low + high) / 2, low, high)
    zero, low_to_high = (
        next(line for line in elements(picture, "line") if line["class"] == kind)
        for kind in ("axis", "tuned")
    )
    places = [float(zero["x1"]), float(low_to_high["x1"]), float(low_to_high["x2"])]
    assert all(0 < place < WIDTH for place in places)
    none, left, right = places
    assert (left < none, none < right) == (low < 0, high > 0)
    assert left < right
    assert f"95% interval {low:.3f} to {high:.3f}" in picture


@given(st.text("雪夜归人，。 a"), st.text("雪夜归人，。 a"))
def test_marked_runs_stand_in_the_reference_and_lose_nothing(text: str, reference: str) -> None:
    pieces = list(shared_runs(text, reference))
    assert "".join(piece for piece, _ in pieces) == text
    for piece, shared in pieces:
        assert piece
        if shared:
            assert piece in reference
            assert len(piece) >= 2
            assert piece.isalnum()
        else:
            pairs = [piece[at : at + 2] for at in range(len(piece) - 1)]
            assert not any(pair.isalnum() and pair in reference for pair in pairs)


def test_runs_end_at_punctuation_and_are_as_long_as_can_be() -> None:
    assert list(shared_runs("夜雪压柴扉，炉温酒", "夜雪压柴门，炉温酒半樽")) == [
        ("夜雪压柴", True),
        ("扉，", False),
        ("炉温酒", True),
    ]
