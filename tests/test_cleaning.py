"""Cleaning: what is taken out of a raw text, and what stays."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wenmo.text.characters import without_space
from wenmo.text.cleaning import Rejected, clean

LINES = st.lists(
    st.one_of(
        st.text(max_size=30),
        st.sampled_from(
            [
                "雪①落。",
                "<p>雪</p>&nbsp;&amp;&#8203;",
                "上一章 返回目录 下一章",
                "雪。请收藏本站www.a.com。晴。",
                "＊＊＊",
                '他说："走。"',
                "（本章完）",
                "注：雪",
            ]
        ),
    )
).map("\n".join)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("＊　＊　＊", "separator"),
        ("----------", "separator"),
        ("上一章", "site"),
        ("上一页 返回目录 下一页", "site"),
        ("zj_waps2();", "site"),
        ("最新章节请到www.example.com阅读", "advert"),
        ("求推荐票！", "advert"),
        ("（全书完）", "note"),
        ("作者有话要说：明天更新。", "note"),
        ("注释：氤氲，形容烟或气很盛。", "note"),
        ("①黉门：学宫。", "note"),
    ],
)
def test_what_is_no_text_goes_by_reason(line: str, reason: str) -> None:
    cleaned = clean(f"雪落。\n{line}\n晴了。")
    assert cleaned.text == "雪落。\n晴了。"
    assert {rejected.reason for rejected in cleaned.rejected} == {reason}


@pytest.mark.parametrize(
    "line",
    [
        "“……”",
        "作者自云：曾历过一番梦幻。",
        "（好。叫你等不得不服！）",
        "他在目录上写了一个字。",
        "注定要走的人。",
        "A市的雪。",
    ],
)
def test_what_is_text_stays(line: str) -> None:
    assert clean(line).text == line
    assert clean(line).rejected == []


@pytest.mark.parametrize(
    ("raw", "text", "rejected"),
    [
        (
            "\ufeff\u3000\u3000“雪”（大）《书》【一】  好\r\n\r\n\r\n……\n晴\u00a0。 ",
            "“雪”（大）《书》【一】 好\n……\n晴 。",
            [Rejected("invisible", "\ufeff")],
        ),
        (
            "雪落了一夜。本书来自www.example.com！天晴了。",
            "雪落了一夜。天晴了。",
            [Rejected("advert", "本书来自www.example.com！")],
        ),
        ("他上了勾栏院①，没有回来。", "他上了勾栏院，没有回来。", [Rejected("note mark", "①")]),
        ('"走，"他说。“来！"', "“走，”他说。“来！”", []),
    ],
    ids=["white space", "advert", "note mark", "straight quotes"],
)
def test_part_of_a_line_is_mended_or_taken_out(
    raw: str, text: str, rejected: list[Rejected]
) -> None:
    cleaned = clean(raw)
    assert (cleaned.text, cleaned.rejected) == (text, rejected)


@pytest.mark.parametrize(
    ("line", "heading"),
    [
        ("Chapter 12", "Chapter 12"),
        ("第三章 雪(求月票)", "第三章 雪"),
        ("第三章 雪（求推荐票！）", "第三章 雪"),
        ("第三章 雪【第二更，求订阅】", "第三章 雪"),
        ("第三章 雪（上）", "第三章 雪（上）"),
    ],
)
def test_a_heading_is_no_advert(line: str, heading: str) -> None:
    assert clean(f"雪落。\n{line}\n晴了。").text == f"雪落。\n{heading}\n晴了。"


def test_mark_up_is_undone() -> None:
    cleaned = clean("<p class='a'>雪&nbsp;落&ldquo;了&rdquo;</p><br/>晴<b>了</b><!-- 广告 -->")
    assert cleaned.text == "雪 落“了”\n晴了"


def test_traditional_text_becomes_simplified_where_asked() -> None:
    assert clean("風來聲滿樓", to_simplified=True).text == "风来声满楼"
    assert clean("風來聲滿樓").text == "風來聲滿樓"


@given(LINES)
@example("&#x1F600;&lt;b&gt;")
def test_every_character_is_kept_or_accounted_for(text: str) -> None:
    cleaned = clean(text)
    left_out = sum(len(without_space(rejected.text)) for rejected in cleaned.rejected)
    assert cleaned.characters_read == len(without_space(cleaned.text)) + left_out


@given(LINES.filter(lambda text: not set(text) & set("<&")))
def test_cleaning_twice_changes_nothing_more(text: str) -> None:
    once = clean(text)
    assert clean(once.text).text == once.text
