"""Sentences, passages and chapters: how a book is cut."""

import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from wenmo.config.novel import PassageParams
from wenmo.text.chapters import Chapter, chapters, is_heading
from wenmo.text.passages import passages
from wenmo.text.sentences import quotes_balance, sentences

HEADING_TABLE = Path(__file__).with_name("headings.txt")

PROSE = st.text(st.sampled_from("雪山，；。！？…—“”‘’」』）\n人.．"), max_size=300)
LIMITS = st.tuples(st.integers(1, 30), st.integers(0, 20), st.integers(1, 20)).map(
    lambda each: PassageParams(minimum=each[0], target=sum(each[:2]), maximum=sum(each))
)


def limits(minimum: int, target: int, maximum: int) -> PassageParams:
    return PassageParams(minimum=minimum, target=target, maximum=maximum)


@given(PROSE)
@example("“走！”他说。“走……”\n")
def test_sentences_joined_are_the_text(text: str) -> None:
    assert "".join(sentences(text)) == text


def test_a_sentence_keeps_its_end_its_closing_quotes_and_its_line_break() -> None:
    assert sentences("“走。”他说：“快走！！”\n雪……停了") == [
        "“走。”",
        "他说：“快走！！”\n",
        "雪……",
        "停了",
    ]
    assert sentences("雪...“停了....”他走了．．．好3.14") == [
        "雪...",
        "“停了....”",
        "他走了．．．",
        "好3.14",
    ]


@given(PROSE, LIMITS)
def test_passages_joined_are_the_chapter_and_all_but_the_last_keep_the_bounds(
    text: str, params: PassageParams
) -> None:
    cut = passages(text, params)
    assert "".join(cut) == text
    assert all(0 < len(passage) <= params.maximum for passage in cut)
    assert all(len(passage) >= params.minimum for passage in cut[:-1])


def test_a_passage_closes_where_its_quotes_balance() -> None:
    text = "雪下了一整夜，山路都白了。“你先走。我来关门。等我。”他说完就去了。"
    cut = passages(text, limits(8, 20, 26))
    assert cut == ["雪下了一整夜，山路都白了。", "“你先走。我来关门。等我。”他说完就去了。"]


def test_a_passage_closes_with_a_paragraph_rather_than_with_a_sentence() -> None:
    text = "雪下了一夜。\n山白了。人没有来。灯亮着。"
    assert passages(text, limits(5, 10, 14))[0] == "雪下了一夜。\n"


def test_what_remains_is_shared_out_so_that_no_short_tail_is_left() -> None:
    text = "雪落在山上。" * 20
    assert {len(passage) for passage in passages(text, limits(24, 36, 42))} <= {30, 36, 42}


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("雪下了一夜，山白；人没有来，灯还亮着", "雪下了一夜，山白；"),
        ("雪下了一夜，山白了，人没有来，灯还亮着", "雪下了一夜，山白了，"),
        ("雪" * 18, "雪" * 8),
    ],
)
def test_an_overlong_sentence_is_cut_at_semicolons_then_commas_then_anywhere(
    text: str, first: str
) -> None:
    assert passages(text, limits(4, 9, 12))[0] == first


def test_a_passage_does_not_open_with_a_closing_quote() -> None:
    cut = passages("“雪下了一夜，山白了\n”他说。人没有来。", limits(4, 11, 14))
    assert not any(passage.startswith("”") for passage in cut)


@pytest.mark.parametrize("wrong", [(5, 4, 6), (5, 7, 6), (5, 5, 5)])
def test_lengths_out_of_order_are_refused(wrong: tuple[int, int, int]) -> None:
    with pytest.raises(ValidationError, match="minimum <= target <= maximum"):
        limits(*wrong)


def test_quotes_of_each_kind_are_balanced_on_their_own() -> None:
    assert quotes_balance("“走，‘快’。”「来」")
    assert not quotes_balance("“走，‘快。”")


HEADINGS, PROSE_LINES = (
    part.splitlines()[1:]
    for part in re.split("^(?=# 标题|# 不是标题)", HEADING_TABLE.read_text("utf-8"), flags=re.M)[1:]
)


def test_headings_part_chapters_and_prose_does_not() -> None:
    """A table of lines: chapters, parts, prefaces and ends, and prose that is like them."""
    assert min(len(HEADINGS), len(PROSE_LINES)) >= 200
    assert [line for line in HEADINGS if not is_heading(line)] == []
    assert [line for line in PROSE_LINES if is_heading(line)] == []
    for heading in HEADINGS:
        text = f"雪。\n{heading}\n晴。\n人来。"
        assert list(chapters(text)) == [Chapter("", "雪。"), Chapter(heading, "晴。\n人来。")]


@given(st.lists(st.sampled_from(["雪。", "", "第一章", "卷二 山"])))
def test_headings_and_texts_are_the_whole(lines: list[str]) -> None:
    found = [
        line
        for chapter in chapters("\n".join(lines))
        for line in (chapter.heading, *chapter.text.split("\n"))
    ]
    assert [line for line in found if line] == [line for line in lines if line]
