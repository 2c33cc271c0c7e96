from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import make_row
from wenmo.llm.offline import leading_clause
from wenmo.llm.prompt_writer import SummarizeParams, prompt_writer, with_prompt
from wenmo.text.holdout import MergeParams, split

PARAMS = MergeParams(eval_fraction=0.2, max_eval_rows=40, max_train_rows=1000)
OUTPUTS = st.lists(st.text("雪山人", min_size=1, max_size=4), min_size=2, max_size=60)


@given(OUTPUTS, st.integers())
def test_nothing_held_out_is_learnt(outputs: list[str], seed: int) -> None:
    rows = [make_row(position, output) for position, output in enumerate(outputs)]
    parts = split(rows, PARAMS, seed)
    learnt, held_out = {r.output for r in parts.train}, {r.output for r in parts.eval}
    assert not learnt & held_out
    assert learnt | held_out == set(outputs)
    assert len(parts.train) + len(parts.eval) + sum(parts.dropped.values()) == len(rows)
    assert len(parts.eval) >= 1


def test_an_edited_row_moves_no_other_row() -> None:
    rows = [make_row(position, f"第{position}首") for position in range(50)]
    before = split(rows, PARAMS, seed=1)
    edited = [*rows[:7], make_row(7, "改过的第七首"), *rows[8:]]
    after = split(edited, PARAMS, seed=1)
    moved = {row.output for row in before.eval} ^ {row.output for row in after.eval}
    assert len(moved - {"第7首", "改过的第七首"}) <= 2


def test_bounds_are_kept_and_counted() -> None:
    rows = [make_row(position, f"第{position}首") for position in range(50)]
    params = PARAMS.model_copy(update={"max_eval_rows": 3, "max_train_rows": 10})
    parts = split(rows, params, seed=1)
    assert (len(parts.train), len(parts.eval)) == (10, 3)
    assert parts.dropped == {"duplicate": 0, "over_limit": 37}
    assert [row.position for row in parts.train] == sorted(row.position for row in parts.train)


@given(st.text(), st.integers(1, 30))
def test_the_offline_stand_in_keeps_to_the_bound(text: str, max_chars: int) -> None:
    assert len(leading_clause(text, max_chars)) <= max_chars


def test_the_offline_stand_in_takes_the_first_clause() -> None:
    assert leading_clause("“下雪了，”他说。", 30) == "下雪了"
    assert leading_clause("……雪落满了整座没有人的山城", 5) == "雪落满了整"


def test_only_rows_without_a_prompt_get_one() -> None:
    params = SummarizeParams(provider="offline", max_prompt_chars=30)
    writer = prompt_writer(params)
    asked = make_row()
    assert with_prompt(asked, writer, params) == asked
    bare = replace(asked, input="", output="山空，人去。")
    assert with_prompt(bare, writer, params).prompt == "山空"
