import os
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wenmo.core import records
from wenmo.core.errors import UserError
from wenmo.core.records import Generation, Row, read_records, row_id, write_records

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
TURNS = st.lists(st.tuples(TEXT, TEXT), max_size=2).map(tuple)
ROWS = st.lists(st.builds(Row, TEXT, TEXT, st.integers(), TEXT, TEXT, TEXT, TURNS))


@given(rows=ROWS)
def test_rows_come_back_as_they_were_written(rows: list[Row], tmp_path_factory) -> None:
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    write_records(path, rows)
    assert read_records(Row, path) == rows


def test_a_file_is_utf8_with_line_feeds_and_keys_in_order(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    write_records(path, [Row("1", "书", 0, "", "问", "答")])
    assert (
        path.read_bytes()
        == (
            '{"id": "1", "source": "书", "position": 0, "instruction": "", "input": "问",'
            ' "output": "答"}\n'
        ).encode()
    )


def test_a_history_is_written_only_where_there_is_one(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    write_records(path, [Row("1", "书", 0, "", "问", "答", (("早问", "早答"),))])
    assert path.read_text("utf-8").endswith('"output": "答", "history": [["早问", "早答"]]}\n')


@pytest.mark.parametrize("history", ["5", "null", '["问"]', '[["问"]]', '[["问", 5]]', "[{}]"])
def test_a_history_of_another_form_is_named(tmp_path: Path, history: str) -> None:
    path = tmp_path / "rows.jsonl"
    write_records(path, [Row("1", "书", 0, "", "问", "答", (("早问", "早答"),))])
    path.write_text(path.read_text("utf-8").replace('[["早问", "早答"]]', history), "utf-8")
    with pytest.raises(UserError, match=r":1: 'history' has .*; expected \[prompt, answer\]"):
        read_records(Row, path)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("{", ":2: not JSON"),
        ("[1]", ":2: expected an object"),
        ('{"id": "1"}', ":2: keys are ['id']; expected ['id', 'prompt'"),
        (
            '{"id": "1", "prompt": 5, "reference": "", "text": "", "finish_reason": "stop",'
            ' "tokens": 1}',
            ":2: 'prompt' is 5; expected str",
        ),
    ],
)
def test_a_malformed_row_is_named_by_file_and_line(
    tmp_path: Path, line: str, complaint: str
) -> None:
    path = tmp_path / "generations.jsonl"
    write_records(path, [Generation("1", "问", "答", "文", "stop", 3)])
    with path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    with pytest.raises(UserError) as caught:
        read_records(Generation, path)
    assert f"{path}{complaint}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bytes_that_are_no_utf8_are_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes('{"name": "红楼"}\n'.encode("gb18030"))
    with pytest.raises(UserError, match="not UTF-8"):
        read_records(Row, path)


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "rows.jsonl"
    records.write_text(path, "old\n")

    def full_disk(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        records.write_text(path, "new\n")
    assert path.read_text() == "old\n"
    assert list(tmp_path.iterdir()) == [path]


def test_an_id_depends_on_source_and_content() -> None:
    ids = {row_id("a", "b"), row_id("ab", ""), row_id("", "ab"), row_id("b", "a")}
    assert len(ids) == 4


def test_a_prompt_is_instruction_and_input_a_line_each() -> None:
    row = Row("1", "s", 0, "写诗。", "首句：雪", "雪")
    assert row.prompt == "写诗。\n首句：雪"
    assert Row(**(asdict(row) | {"instruction": ""})).prompt == "首句：雪"
