"""Rows that other tools train on: one row is the same row in every format and every file."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.test_raw_texts import FAIRYTALE, NOVEL, read, write
from wenmo.core import json_text
from wenmo.core.errors import UserError
from wenmo.core.records import Row
from wenmo.tasks import fairytale, novel
from wenmo.tasks.raw import MalformedRows, read_json_array
from wenmo.tasks.task import read_test_rows

HISTORY = [["早上好", "早呀，小刺猬。"], ["还有谁？", "还有“云雀”，\n它在唱歌。"]]
LONE: dict[str, dict[str, Any]] = {
    "alpaca": {"instruction": "写猫。", "input": "", "output": "猫睡了。"},
    "alpaca without input": {"instruction": "写猫。", "output": "猫睡了。"},
    "alpaca with nulls": {"instruction": "写猫。", "input": None, "output": "猫睡了。"}
    | {"history": None, "system": None},
    "alpaca with an empty history": {"instruction": "写猫。", "output": "猫睡了。", "history": []},
    "sharegpt": {"conversations": [{"from": "human", "value": "写猫。"}]},
    "messages": {"messages": [{"role": "user", "content": "写猫。"}]},
}
LONE["sharegpt"]["conversations"].append({"from": "gpt", "value": "猫睡了。"})
LONE["messages"]["messages"].append({"role": "assistant", "content": "猫睡了。"})


def said(first: str, second: str, who: str, what: str) -> list[dict[str, str]]:
    turns = [*HISTORY, ["写猫。", "猫睡了。"]]
    return [
        {who: role, what: text}
        for asked, told in turns
        for role, text in ((first, asked), (second, told))
    ]


LONG: dict[str, dict[str, Any]] = {
    "alpaca": {"instruction": "写猫。", "input": "", "output": "猫睡了。", "history": HISTORY},
    "sharegpt": {"conversations": said("human", "gpt", "from", "value")},
    "sharegpt by role": {"conversations": said("user", "assistant", "role", "content")},
    "messages": {"messages": said("user", "assistant", "role", "content")},
}
FILES: dict[str, Callable[[Path, list[dict[str, Any]]], Any]] = {
    "json": lambda path, rows: path.write_text(json.dumps(rows, indent=2), "utf-8"),
    "jsonl": lambda path, rows: path.write_text("\n".join(map(json.dumps, rows)), "utf-8"),
    "csv": lambda path, rows: pd.DataFrame(map(flat, rows)).to_csv(path, index=False),
    "parquet": lambda path, rows: pd.DataFrame(rows).to_parquet(path),
    # Both are common under the other one's name.
    "lines in .json": lambda path, rows: path.write_text("\n".join(map(json.dumps, rows)), "utf-8"),
    "array in .jsonl": lambda path, rows: path.write_text("\ufeff" + json.dumps(rows), "utf-8"),
}


def flat(row: dict[str, Any]) -> dict[str, Any]:
    """A list goes into a cell of a table as JSON."""
    return {
        key: json.dumps(value, ensure_ascii=False) if isinstance(value, list) else value
        for key, value in row.items()
    }


def rows_of(task: str, folder: Path) -> list[Row]:
    """The rows as prepare makes them, but for the name of the file."""
    prepare: Any = {
        "fairytale": lambda document: fairytale.prepare(document, FAIRYTALE),
        "novel": lambda document: novel.prepare(document, NOVEL),
    }[task]
    documents = [replace(document, source="rows") for document in read(task, folder)]
    return [row for document in documents for row in prepare(document).rows]


def file(folder: Path, name: str, rows: list[dict[str, Any]]) -> None:
    folder.mkdir(exist_ok=True)
    suffix = name.rpartition(".")[2] if "." in name else name
    FILES[name](folder / f"rows.{suffix}", rows)


@pytest.mark.parametrize("task", ["fairytale", "novel"])
@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("rows", [LONE, LONG], ids=["one turn", "several turns"])
def test_a_row_is_the_same_in_every_format_and_file(
    tmp_path: Path, task: str, name: str, rows: dict[str, dict[str, Any]]
) -> None:
    found = []
    for form, content in rows.items():
        file(tmp_path / form, name, [content])
        found += rows_of(task, tmp_path / form)
    assert len(found) == len(rows)
    assert len({repr(row) for row in found}) == 1
    history = tuple((asked, told) for asked, told in HISTORY) if rows is LONG else ()
    assert found[0].history == history
    assert (found[0].prompt, found[0].output) == ("写猫。", "猫睡了。")


@pytest.mark.parametrize("name", FILES)
def test_a_book_is_the_same_in_every_file(tmp_path: Path, name: str) -> None:
    text = "第一章 雪\n雪下了一夜。\n山白了，河也白了。\n"
    file(tmp_path, name, [{"name": "雪", "text": text}])
    write(tmp_path / "plain", "雪.TXT", text)
    assert rows_of("novel", tmp_path) == rows_of("novel", tmp_path / "plain") != []


def test_books_and_rows_may_stand_in_one_folder(tmp_path: Path) -> None:
    rows = [LONE["alpaca"], LONE["messages"] | {"id": 5}]
    write(tmp_path, "a.json", json.dumps(rows))
    write(tmp_path, "b.jsonl", json.dumps({"name": "雪", "text": "雪下了一夜。"}))
    documents = read("novel", tmp_path)
    assert [(each.source, each.position) for each in documents] == [
        ("a.json", 0),
        ("a.json", 1),
        ("雪", 1),
    ]


@pytest.mark.parametrize("task", ["fairytale", "novel"])
def test_registries_of_other_tools_and_hidden_files_are_passed_over(
    tmp_path: Path, task: str
) -> None:
    registry = {"tales": {"file_name": "a.json", "formatting": "sharegpt"}}
    for name in ("dataset_info.json", "dataset_infos.json"):
        write(tmp_path, name, json.dumps(registry))
    write(tmp_path, "._a.json", b"\x00\x05\x16\x07")
    with pytest.raises(UserError, match="no raw texts"):
        read(task, tmp_path)
    write(tmp_path, "a.json", json.dumps([LONE["alpaca"]]))
    assert len(read(task, tmp_path)) == 1


@pytest.mark.parametrize(
    ("thinking", "thought"),
    [
        ("<think>\n先想结构。\n</think>\n\n", "<think>\n先想结构。\n</think>"),
        ("先想结构。</think>", "先想结构。</think>"),
        ("[THINK]先想<think>结构。[/THINK]", "[THINK]先想<think>结构。[/THINK]"),
    ],
)
def test_what_a_model_thought_is_left_out_and_counted(
    tmp_path: Path, thinking: str, thought: str
) -> None:
    row = LONG["alpaca"] | {"output": f"{thinking}猫睡了。"}
    row["history"] = [[asked, thinking + told] for asked, told in HISTORY]
    write(tmp_path, "a.json", json.dumps([row, LONG["alpaca"]]))
    first, second = rows_of("fairytale", tmp_path)
    assert replace(first, position=1) == second
    prepared = fairytale.prepare(read("fairytale", tmp_path)[0], FAIRYTALE)
    (left_out,) = [each.text for each in prepared.rejected_pieces if each.reason == "thinking"]
    assert left_out == thought
    assert prepared.characters_read == len("猫睡了。") + len("".join(thought.split()))


def test_a_system_message_of_a_row_s_own_is_left_out_and_counted(tmp_path: Path) -> None:
    system = {"role": "system", "content": "你是作家。"}
    messages = {"messages": [system, *LONE["messages"]["messages"]]}
    write(tmp_path, "a.json", json.dumps([messages, LONE["alpaca"] | {"system": "你是作家。"}]))
    for document in read("fairytale", tmp_path):
        prepared = fairytale.prepare(document, FAIRYTALE)
        assert [(each.reason, each.text) for each in prepared.rejected_pieces] == [
            ("system message", "你是作家。")
        ]


def test_parts_of_a_message_are_one_text(tmp_path: Path) -> None:
    parts = [{"type": "text", "text": "写"}, {"type": "text", "text": "猫。"}]
    answer = {"role": "assistant", "content": "猫睡了。", "tool_calls": None}
    messages = [{"role": "user", "content": parts}, answer]
    write(tmp_path, "a.json", json.dumps([{"messages": messages}]))
    assert [row.prompt for row in rows_of("fairytale", tmp_path)] == ["写猫。"]


USER, ANSWER = {"role": "user", "content": "写"}, {"role": "assistant", "content": "猫睡了。"}
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"messages": [USER]}, ": 'messages': the last message is no answer"),
    ({"messages": [USER, ANSWER, USER]}, ": 'messages': the last message is no answer"),
    ({"messages": [ANSWER]}, ": 'messages': message 1 is one of assistant; expected"),
    ({"messages": [USER, USER, ANSWER]}, ": 'messages': message 2 is one of user"),
    (
        {"messages": [USER, ANSWER, {"role": "system", "content": "改口"}]},
        "message 3 is one of sys",
    ),
    ({"messages": [USER, {"role": "tool", "content": "5"}]}, "message 2 has the role 'tool'"),
    ({"messages": [USER, ANSWER | {"tool_calls": [{}]}]}, "message 2 has the role 'assistant' or"),
    ({"messages": [USER, {"role": "assistant", "content": None}]}, "message 2 says None"),
    ({"messages": [USER, ANSWER | {"content": [{"image_url": "a"}]}]}, "message 2 says [{'image"),
    ({"messages": [USER, "猫"]}, "message 2 is '猫'; expected an object"),
    ({"messages": [USER, ANSWER | {"content": "雪\0"}]}, "message 2 holds a NUL character"),
    ({"messages": [USER, ANSWER | {"content": " "}]}, ": the output is empty"),
    ({"messages": "写猫"}, ": 'messages' is not JSON"),
    ({"conversations": 5}, ": 'conversations' is 5; expected a list"),
    (LONE["alpaca"] | {"history": "写猫"}, ": 'history' is not JSON"),
    (LONE["alpaca"] | {"history": [["问"]]}, ": 'history' has ['问']; expected [prompt, answer]"),
    (LONE["alpaca"] | {"history": [["问", ""]]}, ": the output is empty"),
    (LONE["alpaca"] | {"history": [["问", "<think>想"]]}, "ends while its model still thinks"),
    (LONE["alpaca"] | {"output": "<think>先想结构。"}, "ends while its model still thinks"),
    (LONE["alpaca"] | {"output": "<think>想</think>"}, "ends while its model still thinks"),
    (LONE["alpaca"] | {"output": None}, ": keys are ['instruction', 'input']; expected"),
    (LONE["alpaca"] | {"input": 5}, ": 'input' is 5; expected a string"),
    (LONE["alpaca"] | {"system": "雪\ud83d"}, ": 'system' holds half a character"),
    ({"prompt": "写", "chosen": "猫", "rejected": "狗"}, ": keys are ['prompt', 'chosen', 'rej"),
]


@pytest.mark.parametrize(("row", "complaint"), WRONG)
@pytest.mark.parametrize("task", ["fairytale", "novel"])
def test_a_row_that_cannot_be_used_is_named_or_counted(
    tmp_path: Path, task: str, row: dict[str, Any], complaint: str
) -> None:
    write(tmp_path, "a.jsonl", "\n" + json.dumps(row) + "\n" + json.dumps(LONE["alpaca"]))
    with pytest.raises(UserError) as caught:
        read(task, tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / 'a.jsonl'}:2: ")
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)
    malformed = MalformedRows(skip=True)
    assert [each.position for each in read(task, tmp_path, malformed)] == [1]
    assert malformed.count == 1


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + b"\0" * 100 + b"PAR1"])
def test_a_file_that_is_no_parquet_is_named(tmp_path: Path, content: bytes) -> None:
    write(tmp_path, "a.parquet", content)
    with pytest.raises(UserError, match=r"a\.parquet: not Parquet") as caught:
        read("fairytale", tmp_path)
    assert "\n" not in str(caught.value)


def test_a_parquet_file_without_a_known_column_is_named(tmp_path: Path) -> None:
    pd.DataFrame([{"问": "写"}]).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(
        UserError, match=r"a\.parquet: no column of instruction, .*; found \['问'\]"
    ):
        read("fairytale", tmp_path)


def test_a_test_prompt_needs_no_input_and_no_output(tmp_path: Path) -> None:
    write(tmp_path, "test.jsonl", '{"instruction": "写猫。"}\n{"input": "写", "output": null}\n')
    assert [row.prompt for row in read_test_rows(tmp_path)] == ["写猫。", "写"]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    objects=st.lists(st.dictionaries(st.text(), VALUES, max_size=3), max_size=5),
    indent=st.sampled_from([None, 0, 2]),
    piece=st.integers(1, 40),
    ascii_only=st.booleans(),
)
def test_an_array_is_read_alike_in_pieces_of_any_size(
    objects: list[dict[str, Any]],
    indent: int | None,
    piece: int,
    ascii_only: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.mktemp("array") / "a.json"
    text = json.dumps(objects, indent=indent, ensure_ascii=ascii_only)
    path.write_text(text, "utf-8", errors="replace")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_text, "PIECE", piece)
        found = list(read_json_array(path, MalformedRows()))
    assert [content for _, content in found] == json.loads(path.read_text("utf-8"))
    lines = [int(place.rpartition(":")[2]) for place, _ in found]
    assert lines == sorted(lines)
    if indent is None:
        assert set(lines) <= {1}
    for line in lines:
        assert "{" in text.split("\n")[line - 1]


def test_a_file_is_not_read_further_than_it_is_asked_for(tmp_path: Path) -> None:
    row = json.dumps(LONE["alpaca"])
    write(tmp_path, "a.json", f"[{row},\n{row},\nno JSON]")
    rows = read_json_array(tmp_path / "a.json", MalformedRows())
    assert [next(rows)[0], next(rows)[0]] == [f"{tmp_path}/a.json:{line}" for line in (1, 2)]
    with pytest.raises(UserError, match=r"a\.json:3: not JSON"):
        next(rows)


def test_a_cell_of_csv_may_hold_a_book(tmp_path: Path) -> None:
    write(tmp_path, "a.csv", f"name,text\n雪,{'雪落了。' * 100_000}\n")
    assert [len(each.text) for each in read("novel", tmp_path)] == [400_000]
