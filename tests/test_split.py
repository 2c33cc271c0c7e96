"""The split: groups are held out whole, by a hash that no other row changes."""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from tempfile import gettempdir

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import make_row
from wenmo.config.merge import MergeParams
from wenmo.core.errors import UserError
from wenmo.core.records import Row
from wenmo.text import shared_keys, split_account
from wenmo.text import split as split_module
from wenmo.text.groups import Unit, hash64
from wenmo.text.held_out_groups import draw
from wenmo.text.near_duplicates import Sketches, pairs, similarity, sketched
from wenmo.text.shared_keys import SharedKeys
from wenmo.text.split import Split
from wenmo.text.verse import verse_lines

HERE = Path(gettempdir())
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


@dataclass
class Parts:
    """A split with the rows themselves."""

    train: list[Row]
    eval: list[Row]
    account: Split
    dropped: dict[str, int]


def split(rows: list[Row], params: MergeParams, seed: int) -> Parts:
    found = split_module.split(rows, params, seed, "novel", HERE)
    train, held_out = (
        [rows[number] for number in found.in_order(part)] for part in (found.train, found.eval)
    )
    return Parts(train, held_out, found, split_account.metrics(found, params)["dropped"])


def numbered(count: int, source: str = "书") -> list[Row]:
    return [
        replace(make_row(position, f"{source}的第{position}页写着雪。"), source=source)
        for position in range(count)
    ]


def with_params(**update: object) -> MergeParams:
    return PARAMS.model_copy(update=update)


def held_out(parts: Parts) -> set[str]:
    return {row.id for row in parts.eval}


def learnt(parts: Parts) -> set[str]:
    return {row.id for row in parts.train}


def near_duplicates(texts: list[str], jaccard: float) -> set[tuple[int, int]]:
    rows = [make_row(at, text) for at, text in enumerate(texts)]
    with Sketches(jaccard, HERE) as sketches:
        sketches.add_sketches(sketched(texts))
        return set(pairs(rows, sketches, np.ones(len(rows), np.bool_), jaccard))


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
    before = split(books, params, seed)
    after = split(books + numbered(added, "新"), params, seed)
    if before.account.unit == after.account.unit:
        assert held_out(before) <= held_out(after)
        assert learnt(before) <= learnt(after)


def test_an_edited_row_moves_no_other_row() -> None:
    rows = numbered(50)
    edited = [*rows[:7], make_row(7, "改过的第七页。"), *rows[8:]]
    edited = [replace(row, source="书") for row in edited]
    before, after = split(rows, PARAMS, seed=1), split(edited, PARAMS, seed=1)
    assert len(held_out(before) ^ held_out(after)) <= 2


@settings(max_examples=25)
@pytest.mark.parametrize("group_by", ["row", "verse_line", "source", "block"])
@given(count=st.integers(3, 12), seed=st.integers(0, 99))
def test_three_rows_are_enough_to_compare_two(group_by: str, count: int, seed: int) -> None:
    parts = split(numbered(count), with_params(group_by=group_by), seed)
    assert len(parts.eval) > 1 and parts.train


@settings(max_examples=25)
@given(seed=st.integers(0, 99))
def test_the_share_is_one_of_rows_though_the_last_blocks_of_books_are_short(seed: int) -> None:
    rows = numbered(44, "甲") + numbered(44, "乙")
    update = {"block_rows": 20, "eval_fraction": 0.25, "near_duplicate_jaccard": 1.0}
    params = with_params(group_by="source", **update)
    parts = split(rows, params, seed)
    assert parts.account.unit == Unit("block", 20)
    assert abs(len(parts.eval) - 22) <= 10


def test_a_book_is_held_out_whole() -> None:
    rows = [row for name in "甲乙丙丁戊" for row in numbered(12, name)]
    parts = split(rows, with_params(group_by="source"), seed=1)
    assert not {row.source for row in parts.train} & {row.source for row in parts.eval}
    assert parts.account.groups == 5


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
    assert near_duplicates(texts, 0.6) == {(0, 2)}
    assert near_duplicates(texts, 0.9) == set()


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
    assert near_duplicates(texts, jaccard) == expected


def test_of_near_duplicates_the_first_is_kept_or_all_are_of_one_group() -> None:
    rows = [*numbered(30), *(make_row(50 + n, TALE + "。" * n) for n in range(6))]
    dropped = split(rows, PARAMS, seed=1)
    assert dropped.dropped["near_duplicate"] == 5
    kept = split(rows, with_params(drop_near_duplicates=False), seed=1)
    sides = [{row.output[:5] for row in part} for part in (kept.train, kept.eval)]
    assert sum(TALE[:5] in side for side in sides) == 1
    assert kept.account.groups == 31


def test_bounds_are_kept_and_what_they_leave_out_is_told_in_rows_and_groups() -> None:
    params = with_params(group_by="block", max_eval_rows=3, max_train_rows=10)
    parts = split(numbered(50), params, seed=1)
    assert (len(parts.train), len(parts.eval)) == (10, 3)
    assert parts.dropped["over_max_train_rows"] + parts.dropped["over_max_eval_rows"] == 37
    assert [row.position for row in parts.train] == sorted(row.position for row in parts.train)
    told = split_account.summary(parts.account, params)
    left_out = parts.account.parts["over_max_train_rows"]
    groups = {row.position // 5 for row in numbered(50)} - {row.position // 5 for row in parts.eval}
    assert 0 < left_out.groups <= len(groups)
    line = f"{left_out.rows} rows of {left_out.groups} groups are left out beyond merge.max_train_"
    assert line in told


ALPHABET = "天地人山水"
TEXTS = st.lists(
    st.text(ALPHABET, min_size=4, max_size=6)
    | st.sampled_from(["，".join(p) for p in ("天地", "人山")])
)


def in_memory(
    rows: list[Row], params: MergeParams, seed: int
) -> tuple[list[Row], list[Row]] | None:
    """The same split by the plainest means, which hold all texts; None if a part is empty."""
    unique = list({row.output: row for row in reversed(rows)}.values())
    unique.sort(key=rows.index)
    near = [
        (earlier, later)
        for earlier, later in combinations(unique, 2)
        if similarity(earlier.output, later.output) >= params.near_duplicate_jaccard
    ]
    if params.drop_near_duplicates:
        repeated = {later.id for _, later in near}
        unique, near = [row for row in unique if row.id not in repeated], []
    unit = Unit(params.group_by, params.block_rows)
    groups = [{row.id: set(unit.links(row))} for row in unique]
    linked = [{one.id, other.id} for one, other in near]

    def related(one: dict[str, set[str]], other: dict[str, set[str]]) -> bool:
        shares = set().union(*one.values()) & set().union(*other.values())
        return bool(shares) or any(ids & one.keys() and ids & other.keys() for ids in linked)

    while joined := next(((a, b) for a, b in combinations(groups, 2) if related(a, b)), None):
        groups = [group for group in groups if group not in joined] + [joined[0] | joined[1]]
    draws = {
        draw(seed, min(set().union(*group.values()), key=hash64)): group.keys() for group in groups
    }
    lowest, is_smallest = sorted(draws)[:2], unit.group_by in ("verse_line", "row")
    chosen = set[str]()
    for drawn, group in draws.items():
        is_needed = is_smallest and len(groups) > 2 and drawn in lowest
        chosen |= group if drawn < params.eval_fraction or is_needed else set()
    held = [row for row in unique if row.id in chosen]
    near_held = {
        (row.source, row.position + by)
        for row in held
        for by in range(-params.gap_rows, params.gap_rows + 1)
    }
    train = [row for row in unique if (row.source, row.position) not in near_held]
    parts = (train, params.max_train_rows), (held, params.max_eval_rows)
    train, held = (
        sorted(
            sorted(part, key=lambda row: draw(seed, row.id))[:most],
            key=lambda row: (row.source, row.position),
        )
        for part, most in parts
    )
    return (train, held) if train and len(held) > 1 else None


@settings(max_examples=60)
@given(
    books=st.lists(TEXTS, min_size=2, max_size=6),
    seed=st.integers(0, 9),
    update=st.fixed_dictionaries(
        {
            "group_by": st.sampled_from(["source", "block", "verse_line", "row"]),
            "block_rows": st.integers(1, 4),
            "gap_rows": st.integers(0, 2),
            "drop_near_duplicates": st.booleans(),
            "near_duplicate_jaccard": st.sampled_from([0.3, 0.5, 0.9]),
            "max_train_rows": st.integers(1, 20),
            "max_eval_rows": st.integers(2, 8),
        }
    ),
    at_once=st.sampled_from([3, 2**16]),
)
def test_the_split_is_the_same_as_if_all_texts_were_in_memory(
    books: list[list[str]], seed: int, update: dict[str, object], at_once: int
) -> None:
    rows = [
        replace(make_row(2 * position, text), source=f"书{' .'[n % 2]}{n}", id=f"{n}/{position}")
        for n, texts in enumerate(books)
        for position, text in enumerate(texts)
    ]
    params = with_params(**update)
    expected = in_memory(rows, params, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shared_keys, "AT_ONCE", at_once)
        patch.setattr(split_module, "AT_ONCE", at_once)
        try:
            parts = split(rows, params, seed)
        except UserError:
            assert expected is None
            return
    if expected and parts.account.unit == Unit(params.group_by, params.block_rows):
        assert (parts.train, parts.eval) == expected


@given(st.lists(st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 5))), st.sampled_from([2, 99]))
def test_rows_that_share_a_key_are_found_on_disk_too(keys: list[list[int]], at_once: int) -> None:
    keys = [list(dict.fromkeys(of_row)) for of_row in keys]
    with pytest.MonkeyPatch.context() as patch, SharedKeys(HERE) as shared:
        patch.setattr(shared_keys, "AT_ONCE", at_once)
        for row, of_row in enumerate(keys):
            shared.add(row, of_row)
        kept = np.arange(len(keys)) % 3 != 1
        found = [group.tolist() for group in shared.groups(kept)]
    holders: Callable[[int], list[int]] = lambda key: [  # noqa: E731
        row for row, of_row in enumerate(keys) if key in of_row and row % 3 != 1
    ]
    every = sorted({key for of_row in keys for key in of_row})
    assert sorted(found) == sorted(rows for rows in map(holders, every) if len(rows) > 1)
