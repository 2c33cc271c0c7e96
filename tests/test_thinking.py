"""What a model thinks is told from its answer, whatever both of them say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wenmo.text.thinking import CLOSING, OPENING, without_thinking

PIECES = st.lists(st.sampled_from([*OPENING, *CLOSING, "雪", "\n", " ", "<", "think>"])).map(
    "".join
)
ANSWERS = st.text().filter(lambda text: not any(tag in text for tag in (*OPENING, *CLOSING)))
PAIRS = st.sampled_from(list(zip(OPENING, CLOSING, strict=True)))


@given(PAIRS, PIECES, ANSWERS)
def test_the_answer_is_what_follows_the_last_thought(
    pair: tuple[str, str], thought: str, answer: str
) -> None:
    opening, closing = pair
    for text in (f"{opening}{thought}{closing}{answer}", f"{thought}{closing}{answer}"):
        assert without_thinking(text) == answer.strip()


@given(ANSWERS)
def test_a_text_without_tags_stays_as_it_is(answer: str) -> None:
    assert without_thinking(answer) == answer


@given(st.text(), st.sampled_from(OPENING), ANSWERS)
def test_a_thought_without_end_has_no_answer(before: str, opening: str, thought: str) -> None:
    assert without_thinking(f"{before}{opening}{thought}") is None


@given(PIECES)
def test_no_tag_is_in_an_answer(text: str) -> None:
    answer = without_thinking(text)
    assert answer is None or not any(tag in answer for tag in (*OPENING, *CLOSING))


@pytest.mark.parametrize("text", ["<i>雪</i>", "a < b", "<think", "think>", "[思考]雪"])
def test_other_brackets_are_no_tags(text: str) -> None:
    assert without_thinking(text) == text
