"""`wenmo inspect`: how each book was read, what was left out with examples, and the page of it."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from tests.conftest import ROOT, run_python
from tests.test_encodings import TRADITIONAL
from tests.test_unwrapping import BOOKS, cut_by_columns, wrapped
from wenmo.core.records import write_json_lines
from wenmo.tools import cli
from wenmo.tools.dvc_lock import md5

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHAPTERS = "第一章 雪夜\n{}\n第二章 渡口\n{}\n第三章 归来 & <雪>\n{}\n"


def in_chapters(text: str) -> str:
    lines = [line for line in text.split("\n") if len(line) > 40]
    third = len(lines) // 3
    parts = (lines[:third], lines[third : 2 * third], lines[2 * third :])
    return CHAPTERS.format(*("\n".join(part) for part in parts))


def prepared(folder: Path, task: str, **prepare: object) -> None:
    """Run prepare over folder/raw, and leave the dvc.lock that DVC would."""
    params = YAML().load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["prepare"].update(prepare)
    YAML().dump(params, folder / "params.yaml")
    run = run_python(ROOT / "stages/prepare.py", task, "raw", cwd=folder)
    assert run.returncode == 0, run.stderr[-2000:]
    rejected = Path(f"data/rejected/{task}.jsonl")
    stage = {
        "cmd": f"python stages/prepare.py {task} raw",
        "deps": [{"path": "raw", "md5": md5(folder / "raw")}],
        "params": {
            "params.yaml": {
                "prepare": params["prepare"],
                f"{task}.prepare": params[task]["prepare"],
            }
        },
        "outs": [{"path": str(rejected), "md5": md5(folder / rejected)}],
    }
    YAML().dump({"schema": "2.0", "stages": {f"prepare@{task}": stage}}, folder / "dvc.lock")


def inspected(task: str) -> tuple[str, str]:
    """What the command says, and the page that it writes."""
    run = CliRunner().invoke(cli.app, ["inspect", task])
    assert run.exit_code == 0, run.output
    return run.stdout, Path(f"reports/inspect-{task}.html").read_text(encoding="utf-8")


@pytest.fixture
def books(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three books as people have them, prepared."""
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "甲.txt").write_text(in_chapters(BOOKS[0]), encoding="utf-8")
    (raw / "乙.txt").write_bytes(wrapped(in_chapters(BOOKS[1]), 20, cut_by_columns).encode("gbk"))
    (raw / "丙<b>.txt").write_bytes(TRADITIONAL[2].encode("cp950", errors="ignore"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def line_of(text: str, source: str) -> str:
    (line,) = (line for line in text.splitlines() if line.startswith(source))
    return line


def test_each_book_is_told_with_encoding_wrapping_and_chapters(books: Path) -> None:
    # What is not seen has no width, though it stands in the lines.
    unseen = wrapped(in_chapters(BOOKS[1][:-500]), 30).replace("，", "，\u200b")
    (books / "raw/丁.txt").write_text(unseen, encoding="utf-16")
    prepared(books, "novel")
    told, _ = inspected("novel")
    for part in ("UTF-8", " no ", " 3 ", "第一章 雪夜", "第三章 归来"):
        assert part in line_of(told, "甲")
    for part in ("GB18030", "40 columns", " 3 ", "第一章 雪夜", "第三章 归来"):
        assert part in line_of(told, "乙")
    for part in ("UTF-16", "60 columns", " 3 "):
        assert part in line_of(told, "丁")
    assert "Big5" in line_of(told, "丙")
    assert "changed" not in told


def test_the_page_holds_the_same_escaped_and_by_itself(books: Path) -> None:
    prepared(books, "novel")
    told, page = inspected("novel")
    assert "reports/inspect-novel.html" in told
    assert "丙&lt;b&gt;" in page
    assert "<b>" not in page
    assert "第三章 归来 &amp; &lt;雪&gt;" in page
    assert page.count("<script>") == 1 and not re.search(r"https?://|src=", page)
    for part in ("GB18030", "40 columns", "第三章 归来"):
        assert part in page
    bars = re.findall(r'aria-label="kept ([\d,]+) of ([\d,]+) characters', page)
    assert len(bars) == 3
    assert 'aria-label="characters per text: rows from' in page


def test_a_browser_shows_the_page_in_its_language(books: Path, browser: "Browser") -> None:
    prepared(books, "novel")
    (books / "raw/甲.txt").write_text("别的。", encoding="utf-8")
    inspected("novel")
    page = browser.new_page(locale="zh-CN")
    page.goto((books / "reports/inspect-novel.html").as_uri())
    assert page.inner_text("h1") == "读入 3 本书，全部采用"
    assert "raw 在 prepare@novel 读过之后有改动" in page.inner_text("header")
    assert page.get_by_role("img", name="字中留下").count() == 3
    assert not re.search("[a-z]{3,} [a-z]{3,}", page.inner_text("main"))
    page.click("#language")
    assert page.inner_text("h1") == "3 books read and used"
    assert "raw has changed since prepare@novel read it" in page.inner_text("header")
    page.close()


def test_a_book_that_has_changed_since_is_told_in_one_line(books: Path) -> None:
    prepared(books, "novel")
    (books / "raw/甲.txt").write_text("别的。", encoding="utf-8")
    told, page = inspected("novel")
    line = "raw has changed since prepare@novel read it"
    assert told.count(line) == page.count(line) == 1


def test_hundreds_of_books_stay_readable(books: Path) -> None:
    # The book number 0 gives the fewest rows, since most of it is left out.
    lines = [{"name": f"书{n:03}", "text": BOOKS[n % 3][: 600 + 3 * n]} for n in range(300)]
    lines[0]["text"] = "".join(f"第{n}章 雪\n落。\n" for n in range(400)) + str(lines[0]["text"])
    for path in (books / "raw").iterdir():
        path.unlink()
    write_json_lines(books / "raw/train.jsonl", lines)
    prepared(books, "novel")
    told, page = inspected("novel")
    shown = re.findall(r"^书\d{3}", told, re.M)
    assert len(shown) == 20
    assert shown[0] == "书000"
    assert "280 more" in told
    assert re.findall(r'<th scope="row"[^>]*>(书\d{3})', page) == [f"书{n:03}" for n in range(300)]


POEMS = """title,content
雪,"一篙春水绿，两岸杏花齐。渡口无人问，黄莺自在啼。"
句,"一篙春水绿，两岸杏花齐。"
句,"\x1b[31m渡口无人问，黄莺自在啼。"
又句,"渡口无人问，黄莺自在飞。"
残,"一篙□水绿，两岸杏花齐。渡口无人问，黄莺自在啼。"
"""
TALES = """instruction,output
讲一个童话,小刺猬住在一棵老橡树下。
讲一个童话,小兔子住在河边。
讲一个童话,{}
"""


@pytest.mark.parametrize("task", ["poetry", "fairytale"])
def test_what_was_left_out_is_told_by_reason_with_two_examples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("raw").mkdir()
    tale = BOOKS[0][10:400].replace("\n", "")
    text = POEMS if task == "poetry" else TALES.format(tale)
    Path("raw/雪.csv").write_bytes(text.encode("gbk"))
    prepared(tmp_path, task)
    for shown in inspected(task):
        assert "GB18030" in shown
        assert "\x1b" not in shown
        if task == "poetry":
            assert re.search(r"fragment\W.*\b3\b", shown)
            assert "两岸杏花齐" in shown
            assert "□水绿" in shown
            assert "自在飞" not in shown
        else:
            assert re.search(r"short\W.*\b2\b", shown)
            assert "小刺猬住在一棵老橡树下。" in shown
            assert "小兔子住在河边。" in shown


def test_without_rejects_the_counts_stand_alone(books: Path) -> None:
    prepared(books, "novel", keep_rejects=False)
    told, _ = inspected("novel")
    assert "heading" in told
    assert "prepare.keep_rejects" in told
    assert "GB18030" in line_of(told, "乙")


def test_inspect_refuses_an_unknown_task_in_one_line() -> None:
    run = run_python("-c", "from wenmo.tools.cli import app; app()", "inspect", "poetri")
    assert run.returncode == 2
    assert run.stderr == "inspect: 'poetri' is no task; did you mean poetry?\n"
