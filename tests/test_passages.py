"""Sentences, passages and chapters: how a book is cut."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from wenmo.config.novel import PassageParams
from wenmo.text.chapters import Chapter, chapters
from wenmo.text.passages import passages
from wenmo.text.sentences import quotes_balance, sentences

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


@pytest.mark.parametrize(
    "heading",
    [
        "第一章 雪夜",
        "第十二回　归来　旧友",
        "第071回 猛都监兴师",
        "第叁回",
        "第—百回 建奇勋",
        "卷一 考城隍",
        "楔子",
        "序",
        "二十一　一杯闷酒",
        "第 12 章 雪",
        "第十二章 杀！",
        "第十二章 你是谁？",
        "第十二章：你是谁？",
        "第12话 雪",
        "第３話 雪",
        "番外一 灰猫",
        "番外篇 灰猫",
        "番外：灰猫",
        "【第十二章 雪】",
        "【楔子】",
        "===第3章 雪===",
        "### 第三章 雪",
        "☆、第三章",
        "★ 第三章 雪 ★",
        "正文卷 第三章 雪",
        "正文 第三章 雪",
        "第貳章",
        "第參回 雪",
        "卷一：少年",
        "卷二 少年",
        "终章",
        "終章 雪",
        "外传 灰猫",
        "Chapter 12",
        "CHAPTER IV",
        "Chapter 3: Snow",
        "第三部",
        "第三卷·雪",
    ],
)
def test_headings_part_chapters(heading: str) -> None:
    text = f"雪。\n{heading}\n晴。\n人来。"
    assert list(chapters(text)) == [Chapter("", "雪。"), Chapter(heading, "晴。\n人来。")]


@pytest.mark.parametrize(
    "line",
    [
        "第二，他恢复了旧制。",
        "第一回他没有来。",
        "一 是雪，二是风",
        "序幕拉开了。",
        "其一",
        "第三部分工人已经走了，剩下的几个还在院子里抽",
        "第一回见她是在河边，那时候…",
        "第一回见她是在河边，那时候天还没有亮",
        "第三节车厢里坐满了人",
        "第二集团军连夜过了河",
        "第一卷胶片拍完了",
        "第三篇文章还没有写",
        "第二部电影散场的时候",
        "番外的事他一句也没有说",
        "外传的消息未必可靠",
        "卷一支烟",
    ],
)
def test_sentences_are_no_headings(line: str) -> None:
    assert list(chapters(line)) == [Chapter("", line)]


@given(st.lists(st.sampled_from(["雪。", "", "第一章", "卷二 山"])))
def test_headings_and_texts_are_the_whole(lines: list[str]) -> None:
    found = [
        line
        for chapter in chapters("\n".join(lines))
        for line in (chapter.heading, *chapter.text.split("\n"))
    ]
    assert [line for line in found if line] == [line for line in lines if line]
