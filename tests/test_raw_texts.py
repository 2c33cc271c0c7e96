"""The tasks' readers: every format is read, and a malformed row is named by file and line."""

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.conftest import PREPARE
from wenmo.config.novel import PassageParams
from wenmo.core.errors import ParamsError, UserError
from wenmo.tasks import fairytale, novel, poetry
from wenmo.tasks.raw import MalformedRows
from wenmo.tasks.task import Document, load_task, read_test_rows
from wenmo.text.cleaning import Rejected

COLUMNS = poetry.Columns(title="title", content="content")
POETRY = poetry.PrepareParams(**PREPARE, columns=COLUMNS, prompts="first_line", max_lines=16)
FAIRYTALE = fairytale.PrepareParams(**PREPARE, min_tale_chars=2, max_tale_chars=50)
NOVEL = novel.PrepareParams(
    **PREPARE,
    include=[],
    exclude=[],
    passages=PassageParams(target=12, minimum=4, maximum=20),
)
TASKS: dict[str, tuple[ModuleType, Any]] = {
    "novel": (novel, NOVEL),
    "fairytale": (fairytale, FAIRYTALE),
    "poetry": (poetry, POETRY),
}
POEM_HEADER = "title,author,dynasty,content\n"
TALE_HEADER = "instruction,input,output\n"
TALE = {"instruction": "写猫。", "input": "", "output": "猫睡了。"}


def read(task: str, folder: Path, malformed: MalformedRows | None = None) -> list[Document]:
    module, params = TASKS[task]
    return list(module.read(folder, params, malformed or MalformedRows()))


def write(folder: Path, name: str, content: str | bytes) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


MALFORMED: list[tuple[str, str | bytes, str]] = [
    ("novel/a.jsonl", '{"name": "书", "text": "文。"}\n{"name": "二"\n', ":2: not JSON"),
    ("novel/a.jsonl", '{"name": "书"}\n', ":1: key 'text' is missing"),
    ("novel/a.jsonl", '{"name": "书", "text": 5}\n', ":1: 'text' is 5"),
    ("novel/a.jsonl", '{"name": "书", "text": " "}\n', ":1: the text of '书' is empty"),
    ("novel/a.jsonl", '{"name": "../书", "text": "文。"}\n', ":1: '../书' cannot name"),
    ("novel/a.jsonl", '{"name": "书", "text": "文"}\n' * 2, ":2: a second book"),
    ("novel/a.jsonl", b'\n\n{"name": "\xff"}\n', ":3: not UTF-8"),
    ("novel/a.jsonl", '{"name": "书", "text": "雪\\u0000"}\n', ":1: 'text' holds a NUL"),
    ("novel/a.jsonl", '{"name": "书", "text": "雪\\ud83d。"}\n', ":1: 'text' holds half a char"),
    ("novel/书.txt", b"\xff\xff\xff", ":1: not UTF-8, GB18030 or Big5, or damaged; save"),
    ("novel/书.txt", b"\xff\xfe\x00", ":1: not utf-16"),
    ("novel/书.txt", " \n", ": the text of '书' is empty"),
    ("novel/书.txt", "雪\0。", ": the text holds a NUL character at position 1"),
    ("fairytale/a.json", '[\n{"instruction": "写"\n]', ":3: not JSON"),
    ("fairytale/a.json", json.dumps([TALE])[:-1], ":1: not JSON"),
    ("fairytale/a.json", '{\n  "data": []\n}', ":1: expected a JSON array"),
    ("fairytale/a.json", "5", ":1: expected an object, found int"),
    ("fairytale/a.json", "[5, 6", ":1: expected an object, found int"),
    ("fairytale/a.json", '[\n{"output": "雪"}\n{}]', ":3: not JSON: expected ',' or ']'"),
    ("fairytale/a.json", '[\n{"output": "雪\n"}]', ":2: not JSON: Invalid control"),
    ("fairytale/a.json", '[\n{"output": "雪', ":2: not JSON: Unterminated string"),
    ("fairytale/a.json", "[\n\n5]", ":3: expected an object, found int"),
    ("fairytale/a.json", '[\n{"input": ""}]', ":2: keys are ['input']; expected instruction"),
    ("fairytale/a.json", b'[\n\n"\xff"]', ":3: not UTF-8"),
    ("fairytale/a.jsonl", "5\n", ":1: expected an object"),
    ("fairytale/a.csv", "问,答\n写,猫\n", ":2: keys are ['问', '答']; expected instruction"),
    ("fairytale/a.csv", TALE_HEADER + "写,,猫\n写\n", ":3: expected 3"),
    ("fairytale/a.csv", TALE_HEADER.encode() + b"\xc3\x28,,\n", ":2: not UTF-8"),
    ("fairytale/a.csv", TALE_HEADER + "写,,\n", ":2: the output is empty"),
    ("poetry/a.csv", POEM_HEADER + '雪,我,今,"白\n白"\n雪,我\n', ":4: expected 4 fields"),
    ("poetry/a.csv", "名,诗\n雪,白\n", ":1: no column 'content'"),
    ("poetry/a.csv", "标题，内容\n雪，白\n", ":1: one column, '标题，内容'; put half-"),
    ("poetry/a.csv", "title\tcontent\n雪\t白,黑\n", ":1: one column, 'title\\tcontent'"),
    ("poetry/a.csv", "雪落，风来。\n", ":1: the first line does not name columns; add one "),
    ("poetry/a.csv", "雪,白！\n雨,黑\n", ":1: the first line does not name columns"),
    ("novel/a.csv", "书,雪落了。\n", ":1: the first line does not name columns; add one"),
    ("fairytale/a.csv", "写,猫睡了！\n", ":1: the first line does not name columns; add one"),
    ("fairytale/a.csv", "instruction，output\n写，猫\n", ":1: one column"),
    ("poetry/a.csv", POEM_HEADER + '雪,我,今,"白"白\n', ":2: not CSV"),
    ("poetry/a.json", '[\n{"title": "雪"}]', ":2: expected 'content', 'paragraphs', 'para' with"),
    ("poetry/a.json", '[{"paragraphs": ["雪", 5]}]', ":1: expected 'content', 'paragraphs'"),
    ("poetry/a.json", '[{"paragraphs": ["\\ud83d"]}]', ":1: the poem with its title holds half a"),
]


@pytest.mark.parametrize(("file", "content", "complaint"), MALFORMED)
def test_a_malformed_row_is_named_by_file_and_line(
    tmp_path: Path, file: str, content: str | bytes, complaint: str
) -> None:
    task, name = file.split("/")
    with pytest.raises(UserError) as caught:
        read(task, write(tmp_path, name, content))
    assert str(caught.value).startswith(f"{tmp_path / name}{complaint}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("file", "content", "kept", "skipped"),
    [
        ("novel/a.jsonl", '{"name": "书", "text": "文。"}\n{\n{"name": "二"}\n', 1, 2),
        ("novel/a.jsonl", b'\xff\n{"name": "\xe4\xb9\xa6", "text": "a"}\n', 1, 1),
        ("novel/a.txt", b"\xff\xff\xff", 0, 1),
        ("fairytale/a.json", json.dumps([5, TALE, TALE | {"output": ""}]), 1, 2),
        ("fairytale/a.csv", TALE_HEADER + "写\n写,,猫\n", 1, 1),
        ("poetry/a.csv", POEM_HEADER + "雪,我\n雪,我,今,白\n", 1, 1),
        ("poetry/a.json", '[{"paragraphs": 5}, {"paragraphs": ["白"]}]', 1, 1),
    ],
)
def test_malformed_rows_are_skipped_and_counted_where_asked(
    tmp_path: Path, file: str, content: str | bytes, kept: int, skipped: int
) -> None:
    task, name = file.split("/")
    malformed = MalformedRows(skip=True)
    assert len(read(task, write(tmp_path, name, content), malformed)) == kept
    assert malformed.count == skipped


@pytest.mark.parametrize("task", TASKS)
def test_an_empty_folder_is_named_with_what_is_expected(tmp_path: Path, task: str) -> None:
    write(tmp_path, "test.jsonl", "")
    with pytest.raises(UserError, match=rf"{tmp_path}: no raw texts; expected \*\."):
        read(task, tmp_path)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", ["书.docx", "poems.xlsx", "a.PDF"])
def test_a_file_of_another_format_is_named_with_what_to_do(
    tmp_path: Path, task: str, name: str
) -> None:
    write(tmp_path, name, "PK")
    with pytest.raises(UserError, match=rf"no raw texts; expected .*: save {name} as one of these"):
        read(task, tmp_path)


def test_tales_are_read_alike_from_json_json_lines_and_csv(tmp_path: Path) -> None:
    write(tmp_path, "a.json", json.dumps([TALE], indent=2))
    write(tmp_path, "b.jsonl", json.dumps(TALE) + "\n")
    write(tmp_path, "c.csv", "\ufeffinstruction,input,output\n写猫。,,猫睡了。\n")
    documents = read("fairytale", tmp_path)
    assert [document.source for document in documents] == ["a.json", "b.jsonl", "c.csv"]
    assert {(each.instruction, each.input, each.text) for each in documents} == {
        tuple(TALE.values())
    }


def test_tales_out_of_bounds_are_counted(tmp_path: Path) -> None:
    tales = [TALE | {"output": output} for output in ("猫", "猫睡了。", "猫" * 51)]
    write(tmp_path, "a.json", json.dumps(tales))
    prepared = [fairytale.prepare(document, FAIRYTALE) for document in read("fairytale", tmp_path)]
    assert [len(each.rows) for each in prepared] == [0, 1, 0]
    assert prepared[0].rejected_rows == [Rejected("short", "猫")]
    assert prepared[2].rejected_rows == [Rejected("long", "猫" * 51)]


def test_books_are_chosen_by_name(tmp_path: Path) -> None:
    books = [{"name": name, "text": "文。"} for name in ("甲", "乙", "丙")]
    write(tmp_path, "train.jsonl", "".join(json.dumps(book) + "\n" for book in books))

    def chosen(**update: list[str]) -> list[str]:
        params = NOVEL.model_copy(update=update)
        return [document.source for document in novel.read(tmp_path, params, MalformedRows())]

    assert chosen() == ["甲", "乙", "丙"]
    assert chosen(include=["丙", "甲"]) == ["甲", "丙"]
    assert chosen(exclude=["乙"]) == ["甲", "丙"]
    with pytest.raises(ParamsError, match=r"novel\.prepare\.exclude: no book '丁'"):
        chosen(exclude=["丁"])


def test_short_passages_are_counted() -> None:
    document = Document("书", 1, "第一章 雪\n雪下了一夜。\n第二章 晴\n晴。")
    prepared = novel.prepare(document, NOVEL)
    assert [row.output for row in prepared.rows] == ["雪下了一夜。"]
    assert prepared.rejected_rows == [Rejected("short", "晴。")]
    assert {piece.text for piece in prepared.rejected_pieces} == {"第一章 雪", "第二章 晴"}


def test_test_prompts_are_optional_but_never_empty(tmp_path: Path) -> None:
    assert read_test_rows(tmp_path) == []
    write(tmp_path, "test.jsonl", '{"instruction": "", "input": "雪夜", "output": ""}\n')
    assert [row.prompt for row in read_test_rows(tmp_path)] == ["雪夜"]
    write(tmp_path, "test.jsonl", '{"instruction": "", "input": "", "output": ""}\n')
    with pytest.raises(UserError, match=r"test\.jsonl:1: instruction and input are both empty"):
        read_test_rows(tmp_path)


def test_an_unknown_task_is_refused() -> None:
    with pytest.raises(ParamsError, match="'poetri': did you mean poetry\\?"):
        load_task("poetri")


@pytest.mark.parametrize("name", ["b.TXT", "b.Txt", "b.HTML", "b.htm", "B.JSONL"])
def test_the_ending_of_a_name_may_have_any_case(tmp_path: Path, name: str) -> None:
    book = json.dumps({"name": "b", "text": "雪落。"}) if name == "B.JSONL" else "雪落。"
    write(tmp_path, name, book)
    assert [(each.source, each.text) for each in read("novel", tmp_path)] == [("b", "雪落。")]


def test_crlf_makes_no_difference(tmp_path: Path) -> None:
    text = "第一章\n雪下了一夜。\n山白了。\n"
    plain, windows = (
        novel.prepare(Document("书", 1, each), NOVEL) for each in (text, text.replace("\n", "\r\n"))
    )
    assert plain == windows
