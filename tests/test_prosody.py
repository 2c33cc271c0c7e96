import csv
import random

import pytest

from tests.conftest import ROOT
from wenmo.text.prosody import readings, rhymes
from wenmo.text.verse import form, verse_lines

POEMS = [
    verse_lines(row["content"])
    for row in csv.DictReader((ROOT / "data/sample/poetry/poems.csv").open(encoding="utf-8"))
]


def test_a_character_has_all_its_readings() -> None:
    assert readings("東") == {("東", "平")}
    assert readings("中") == {("東", "平"), ("東", "去")}
    assert readings("間") == readings("閒")
    assert readings("x") == frozenset()


@pytest.mark.parametrize(
    ("ends", "rhyming"),
    [
        ("风中", True),  # 東
        ("支之", True),  # 支脂之 are one group
        ("东江", False),  # 東 and 江 rhyme in Mandarin's ear only
        ("山寒", False),  # 刪山 and 寒桓 are two groups
        ("间山", True),  # 间 is looked up as 閒
        ("白石", True),  # an entering tone rhymes with its like; both were -k
        ("天x", False),
    ],
)
def test_rhyme_is_that_of_the_rhyme_books(ends: str, rhyming: bool) -> None:
    assert rhymes(["甲", ends[0], "乙", ends[1]]) is rhyming


def test_one_rhyming_line_is_no_rhyme() -> None:
    assert not rhymes(["雪落千山静", "风来一叶轻"])
    assert not rhymes([])


def test_form_is_lines_and_characters() -> None:
    assert form(verse_lines("雪落千山静，风来一叶轻。\n灯前翻旧信，窗外过车声。")) == (4, 5)
    assert form(verse_lines("雪落，风来一叶轻。")) is None
    assert form([]) is None


def test_every_sample_poem_rhymes_and_shuffled_ones_do_not() -> None:
    assert all(rhymes(poem) for poem in POEMS)
    quatrains = [poem for poem in POEMS if form(poem) == (4, 7)]
    lines = [line for poem in quatrains for line in poem]
    random.Random(0).shuffle(lines)
    shuffled = [lines[at : at + 4] for at in range(0, len(lines), 4)]
    assert sum(map(rhymes, shuffled)) / len(shuffled) < 0.1
