"""Books whose lines were broken at one width: they are found, and their paragraphs come back."""

import textwrap
from collections.abc import Callable

import pytest

from tests.conftest import ROOT
from tests.test_raw_texts import NOVEL
from wenmo.core.records import read_json_lines
from wenmo.tasks import novel, poetry
from wenmo.tasks.task import Document
from wenmo.text.cleaning import clean
from wenmo.text.unwrapping import unwrapped, wrapping

BOOKS = [book["text"] for _, book in read_json_lines(ROOT / "data/sample/novel/train.jsonl")]
POINTS = "，。、；：！？”’）"


def indented(text: str) -> str:
    return "\n".join(f"\u3000\u3000{line.strip()}" for line in text.split("\n") if line.strip())


def spaced(text: str) -> str:
    return "\n\n".join(line.strip() for line in text.split("\n") if line.strip())


def cut(line: str, width: int) -> list[str]:
    return [line[at : at + width] for at in range(0, len(line), width)]


def cut_before_no_point(line: str, width: int) -> list[str]:
    """As a typesetter does: no line begins with a point."""
    lines = []
    while line:
        at = width
        while 1 < at < len(line) and line[at] in POINTS:
            at -= 1
        lines.append(line[:at])
        line = line[at:]
    return lines


def cut_by_columns(line: str, width: int) -> list[str]:
    lines, used = [""], 0
    for character in line:
        own = 1 if character.isascii() else 2
        if used + own > 2 * width:
            lines.append("")
            used = 0
        lines[-1] += character
        used += own
    return lines


CUTS = (cut, cut_before_no_point, cut_by_columns)


def wrapped(text: str, width: int, how: Callable[[str, int], list[str]] = cut) -> str:
    return "\n".join("\n".join(how(line, width)) for line in text.split("\n"))


def joined(text: str) -> str:
    """The text as it was before it was wrapped, as cleaning finds it."""
    found = wrapping(text)
    return unwrapped(text, found) if found else text


def lines(text: str) -> list[str]:
    return [line.strip() for line in text.split("\n") if line.strip()]


@pytest.mark.parametrize("how", CUTS)
@pytest.mark.parametrize("width", [15, 20, 30, 40])
@pytest.mark.parametrize("layout", [indented, spaced])
@pytest.mark.parametrize("book", range(len(BOOKS)))
def test_paragraphs_that_are_marked_come_back_as_they_were(
    book: int, layout: Callable[[str], str], width: int, how: Callable[[str, int], list[str]]
) -> None:
    text = layout(BOOKS[book])
    assert lines(joined(wrapped(text, width, how))) == lines(text)


@pytest.mark.parametrize(("width", "most"), [(20, 0.08), (40, 0.05)])
def test_nearly_all_paragraphs_come_back_where_nothing_marks_them(width: int, most: float) -> None:
    before = [line for book in BOOKS for line in lines(book)]
    after = [
        line for book in BOOKS for line in lines(joined(wrapped("\n".join(lines(book)), width)))
    ]
    assert len(set(before) - set(after)) <= most * len(before)


def test_blank_lines_within_paragraphs_mark_none() -> None:
    text = indented(BOOKS[0])
    assert lines(joined(wrapped(text, 40).replace("\n", "\n\n"))) == lines(text)


@pytest.mark.parametrize("layout", [str, indented, spaced])
@pytest.mark.parametrize("book", range(len(BOOKS)))
def test_a_book_that_is_not_wrapped_stays_as_it_is(book: int, layout: Callable[[str], str]) -> None:
    assert joined(layout(BOOKS[book])) == layout(BOOKS[book])


def test_chapters_and_short_lines_stay_apart() -> None:
    prose = "雪落了一夜，山路都白了，他在窗前坐着，没有说一句话，看着那盏灯慢慢暗下去，直到天亮。"
    text = "\n".join(
        f"第{n}章 雪\n\u3000\u3000{prose}\n\u3000\u3000他说：\n\u3000\u3000“走吧。”"
        for n in range(1, 15)
    )
    assert lines(joined(wrapped(text, 20))) == lines(text)


@pytest.mark.parametrize("width", [30, 36, 40])
def test_latin_words_are_joined_with_a_space_and_numbers_without(width: int) -> None:
    """A program that breaks at spaces drops them; one that counts breaks numbers."""
    told = "又看了很久很久，然后合上书，走到窗前，去看那一夜的雪慢慢地落在山上，落在河上"
    prose = [f"他在第{n}页上写下了 see you tomorrow 这几个词，{told}。" for n in range(40)]
    text = "\n\n".join("\n".join(textwrap.wrap(line, width)) for line in prose)
    paragraphs = lines(joined(text))
    assert [line.replace("了 see", "了see").replace("w 这", "w这") for line in paragraphs] == [
        line.replace("了 see", "了see").replace("w 这", "w这") for line in prose
    ]
    years = [f"那就是公元19{n}年的冬天，{told}，一直到20{n}年才停。" for n in range(10, 40)]
    assert lines(joined(wrapped(indented("\n".join(years)), width))) == years


@pytest.mark.parametrize(
    "verse",
    [
        "白日依山尽，黄河入海流。\n欲穷千里目，更上一层楼。\n",
        "白日依山尽黄河入海流\n欲穷千里目更上一层楼\n",
        "两个黄鹂鸣翠柳，一行白鹭上青天。\n窗含西岭千秋雪，门泊东吴万里船。\n",
        "雪落在山上\n我在等一个人\n他没有来\n灯还亮着呢\n",
    ],
)
def test_verse_in_a_book_stays_in_its_lines(verse: str) -> None:
    assert joined(verse * 50) == verse * 50


def test_a_book_is_unwrapped_and_a_poem_is_not() -> None:
    text = indented(BOOKS[0])
    plain, narrow = (
        novel.prepare(Document("书", 1, each), NOVEL) for each in (text, wrapped(text, 40))
    )
    assert [row.output for row in narrow.rows] == [row.output for row in plain.rows]
    lines_of_verse = "两个黄鹂鸣翠柳一行白鹭上青天\n" * 30
    assert clean(lines_of_verse).text == lines_of_verse.strip()
    assert "unwrap" not in poetry.prepare.__code__.co_names
