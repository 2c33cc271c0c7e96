"""The split: groups are held out whole, by a hash that no other row changes."""

import random
from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import make_row
from wenmo.config.merge import MergeParams
from wenmo.core.errors import UserError
from wenmo.core.records import Row
from wenmo.text.leakage import measure, refuse_leakage
from wenmo.text.near_duplicates import near_duplicates, similarity
from wenmo.text.split import Split, split
from wenmo.text.verse import verse_lines

PARAMS = MergeParams(
    group_by="row",
    block_rows=5,
    gap_rows=0,
    near_duplicate_jaccard=0.7,
    drop_near_duplicates=True,
    eval_fraction=0.3,
    max_eval_rows=1000,
    max_train_rows=1000,
    max_leakage=0.01,
)


def numbered(count: int, source: str = "书") -> list[Row]:
    return [
        replace(make_row(position, f"{source}的第{position}页写着雪。"), source=source)
        for position in range(count)
    ]


def with_params(**update: object) -> MergeParams:
    return PARAMS.model_copy(update=update)


def held_out(parts: Split) -> set[str]:
    return {row.id for row in parts.eval}


def learnt(parts: Split) -> set[str]:
    return {row.id for row in parts.train}


@given(st.integers(), st.lists(st.text("雪山人", min_size=1, max_size=4), max_size=30))
def test_every_row_is_learnt_held_out_or_counted(seed: int, more: list[str]) -> None:
    rows = numbered(40) + [make_row(at, output) for at, output in enumerate(more)]
    parts = split(rows, PARAMS, seed)
    assert not {row.output for row in parts.train} & {row.output for row in parts.eval}
    assert len(parts.train) + len(parts.eval) + sum(parts.dropped.values()) == len(rows)


@settings(max_examples=25)
@pytest.mark.parametrize("group_by", ["row", "source", "block"])
@given(seed=st.integers(0, 50), added=st.integers(1, 40))
def test_adding_a_book_moves_no_row(group_by: str, seed: int, added: int) -> None:
    books = [row for name in "甲乙丙丁戊己" for row in numbered(12, name)]
    params = with_params(group_by=group_by, eval_fraction=0.5)
    try:
        before = split(books, params, seed)
    except UserError:
        return
    after = split(books + numbered(added, "新"), params, seed)
    assert held_out(before) <= held_out(after)
    assert learnt(before) <= learnt(after)


def test_an_edited_row_moves_no_other_row() -> None:
    rows = numbered(50)
    edited = [*rows[:7], make_row(7, "改过的第七页。"), *rows[8:]]
    before, after = split(rows, PARAMS, seed=1), split(edited, PARAMS, seed=1)
    assert len(held_out(before) ^ held_out(after)) <= 2


def test_a_book_is_held_out_whole() -> None:
    rows = [row for name in "甲乙丙丁戊" for row in numbered(12, name)]
    parts = split(rows, with_params(group_by="source"), seed=1)
    assert not {row.source for row in parts.train} & {row.source for row in parts.eval}
    assert parts.groups == 5


def test_a_gap_parts_held_out_blocks_from_what_is_learnt() -> None:
    parts = split(numbered(100), with_params(group_by="block", gap_rows=2), seed=1)
    positions = {row.position for row in parts.eval}
    assert all(abs(row.position - at) > 2 for row in parts.train for at in positions)
    assert parts.dropped["gap"] > 0


LINES = st.sampled_from(["雪落千山静", "风来一叶轻", "灯前翻旧信", "窗外过车声", "江头春水绿"])


@given(st.lists(st.lists(LINES, min_size=2, max_size=4), min_size=4), st.integers(0, 20))
def test_no_verse_line_is_learnt_and_held_out(poems: list[list[str]], seed: int) -> None:
    rows = [make_row(at, "，".join(lines) + "。") for at, lines in enumerate(poems)]
    rows += [make_row(99 + at, f"第{at}首雪落山，第{at}首风来寒。") for at in range(20)]
    parts = split(rows, with_params(group_by="verse_line", drop_near_duplicates=False), seed)
    lines_learnt = {line for row in parts.train for line in verse_lines(row.output)}
    assert not lines_learnt & {line for row in parts.eval for line in verse_lines(row.output)}


TALE = "从前有一只小猫住在山里，它每天早上都去看雪，晚上才回家睡觉。"


def test_near_duplicates_are_found_by_their_shared_5_grams() -> None:
    texts = [TALE, "完全不同的另一个故事，讲的是一条鱼。", TALE.replace("小猫", "小狗")]
    assert similarity(texts[0], texts[2]) < 0.8
    assert list(near_duplicates(texts, 0.6)) == [(0, 2)]
    assert list(near_duplicates(texts, 0.9)) == []


@pytest.mark.parametrize("jaccard", [0.3, 0.5, 0.7, 0.9])
def test_all_near_duplicates_are_found_that_comparing_all_with_all_finds(jaccard: float) -> None:
    draw = random.Random(1)
    characters = "天地人山水风花雪月春夏秋冬东南西北"
    texts = ["".join(draw.choices(characters, k=100)) for _ in range(150)]
    for text in texts[:75]:
        share = draw.random() * 0.3
        texts.append("".join(draw.choice(characters) if draw.random() < share else c for c in text))
    expected = {
        (earlier, later)
        for earlier, later in combinations(range(len(texts)), 2)
        if similarity(texts[earlier], texts[later]) >= jaccard
    }
    assert len(expected) > 5
    assert set(near_duplicates(texts, jaccard)) == expected


def test_of_near_duplicates_the_first_is_kept_or_all_are_of_one_group() -> None:
    rows = [*numbered(30), *(make_row(50 + n, TALE + "。" * n) for n in range(6))]
    dropped = split(rows, PARAMS, seed=1)
    assert dropped.dropped["near_duplicate"] == 5
    kept = split(rows, with_params(drop_near_duplicates=False), seed=1)
    sides = [{row.output[:5] for row in part} for part in (kept.train, kept.eval)]
    assert sum(TALE[:5] in side for side in sides) == 1
    assert kept.groups == 31


def test_bounds_are_kept_and_counted() -> None:
    params = with_params(max_eval_rows=3, max_train_rows=10)
    parts = split(numbered(50), params, seed=1)
    assert (len(parts.train), len(parts.eval)) == (10, 3)
    assert parts.dropped["over_max_train_rows"] + parts.dropped["over_max_eval_rows"] == 37
    assert [row.position for row in parts.train] == sorted(row.position for row in parts.train)


def test_nothing_to_hold_out_is_told() -> None:
    with pytest.raises(UserError, match=r"none of 1 groups is held out; change merge\.eval_frac"):
        split(numbered(5), with_params(group_by="source", eval_fraction=0.0), seed=1)


def test_what_is_copied_into_training_is_measured_and_refused_by_name() -> None:
    sentence = "雪下了一夜，山路都白了，他推开门看着院子里的灯。"
    train = [make_row(0, f"开头不同。{sentence}")]
    evaluated = [make_row(1, sentence), make_row(2, "全然不同的另一段文字，没有一句话与它相同。")]
    leakage = measure(train, evaluated)
    assert [share for share, _ in leakage.by_row] == [1.0, 0.0]
    assert leakage.share == pytest.approx(12 / 21)
    refuse_leakage(leakage, 0.6, "novel")
    with pytest.raises(UserError, match=r"57\.1% of the held-out .* source row 1 \(100%\)"):
        refuse_leakage(leakage, 0.01, "novel")
