from hypothesis import example, given
from hypothesis import strategies as st

from wenmo.text.cleaning import clean
from wenmo.text.passages import chapters, passages, quotes_balance, sentences

PROSE = st.text(st.sampled_from("雪山，；。！？…—“”\n人"), max_size=200)


@given(PROSE)
@example("“走！”他说。“走……”\n")
def test_sentences_joined_are_the_text(text: str) -> None:
    assert "".join(sentences(text)) == text


def test_a_sentence_keeps_its_full_stop_and_closing_quote() -> None:
    assert sentences("“走。”他说：“快走！”雪……停了") == ["“走。”", "他说：“快走！”", "雪……", "停了"]


@given(PROSE, st.integers(1, 50))
def test_passages_lose_nothing_and_keep_the_bound(text: str, maximum: int) -> None:
    cut = passages(text, maximum)
    assert "".join("".join(cut).split()) == "".join(text.split())
    assert all(0 < len(passage) <= maximum for passage in cut)


def test_a_passage_closes_where_its_quotes_balance() -> None:
    text = "雪下了一整夜，山路都白了。“你先走。我来关门。等我。”他说完就去了。"
    cut = passages(text, 26)
    assert all(quotes_balance(passage) for passage in cut)
    assert cut[0] == "雪下了一整夜，山路都白了。"


def test_an_overlong_sentence_is_cut_at_a_clause() -> None:
    assert passages("雪下了一夜，山白了，人没有来，灯还亮着", 8) == [
        "雪下了一夜，",
        "山白了，",
        "人没有来，",
        "灯还亮着",
    ]


def test_chapter_headings_part_chapters_and_are_left_out() -> None:
    text = "序。\n第一章 雪夜\n雪。\n第十二回 归来\n第二天晴了。\n"
    assert chapters(text) == ["序。", "雪。", "第二天晴了。"]


def test_cleaning_keeps_the_text_s_own_marks() -> None:
    assert clean("\ufeff\u3000\u3000“雪”（大）《书》  好\r\n\r\n\r\n晴\u00a0。 ") == (
        "“雪”（大）《书》 好\n晴 。"
    )


@given(st.text())
def test_cleaning_twice_changes_nothing_more(text: str) -> None:
    assert clean(clean(text)) == clean(text)
