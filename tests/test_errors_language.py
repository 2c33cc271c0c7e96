"""Every error that a person reads is told in the reader's language."""

import ast
import copy
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from string import Formatter
from threading import Event
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.conftest import ROOT, run_python
from wenmo.config import all_sections, params_file
from wenmo.core.errors import UserError
from wenmo.core.language import in_language
from wenmo.tools import cli
from wenmo.tools.catalogue import ERRORS, SOURCE
from wenmo.tools.writing.both_models import write_both
from wenmo.tools.writing.writer import TextRequest, WritingParams

PARAMS = (ROOT / "params.yaml").read_text("utf-8")
PROJECT = (ROOT / "pyproject.toml").read_text("utf-8")
TREES = {
    path: ast.parse(path.read_text("utf-8"))
    for path in sorted([*SOURCE.rglob("*.py"), *(ROOT / "stages").glob("*.py")])
}


def calls(tree: ast.AST, *names: str) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
            yield node


def placeholders(call: ast.Call) -> set[str]:
    """The names in the message, or in both messages of `ngettext`."""
    is_counted = ast.unparse(call.func) == "ngettext"
    messages = [ast.literal_eval(each) for each in call.args[: 1 + is_counted]]
    named = {name for each in messages for _, name, *_ in Formatter().parse(each) if name}
    return named - {"count"} if is_counted else named


def values(call: ast.Call) -> set[str]:
    return {keyword.arg or "**" for keyword in call.keywords}


def is_told_in_english_alone(message: ast.expr, tree: ast.Module) -> bool:
    match message:
        case ast.Constant(str()):
            return False
        case ast.Call(ast.Name("gettext" | "ngettext" | "N_" | "str")):
            return False
        case ast.Name(name):
            worded = [
                node.value
                for node in ast.walk(tree)
                if isinstance(node, ast.Assign)
                and any(ast.unparse(target) == name for target in node.targets)
            ]
            return any(isinstance(each, ast.JoinedStr | ast.Constant) for each in worded)
        case _:
            return True


def test_the_message_of_every_error_is_one_that_is_translated() -> None:
    in_english_alone = [
        f"{path}:{call.lineno}"
        for path, tree in TREES.items()
        for call in calls(tree, *ERRORS)
        if is_told_in_english_alone(call.args[0], tree)
    ]
    assert in_english_alone == []


def test_every_placeholder_of_a_message_gets_its_value() -> None:
    others = [
        f"{path}:{call.lineno}"
        for path, tree in TREES.items()
        for call in calls(tree, *ERRORS, "gettext", "ngettext")
        if isinstance(call.args[0], ast.Constant)
        and "**" not in values(call)
        and placeholders(call) != values(call)
    ]
    assert others == []


def test_the_catalogue_knows_all_errors_that_a_person_reads() -> None:
    classes = [
        node for tree in TREES.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)
    ]
    known = {"UserError"}
    while (
        found := {
            each.name for each in classes if {ast.unparse(base) for base in each.bases} & known
        }
        - known
    ):
        known |= found
    assert known == set(ERRORS)


ENGLISH = re.compile(r"\b(?:should|must|expected|allowed|missing|no such|run)\b|, or ", re.I)


def leaves(content: Any, *above: str | int) -> Iterator[tuple[str | int, ...]]:
    """The keys that lead to each value of params.yaml."""
    match content:
        case dict():
            for key, value in content.items():
                yield from leaves(value, *above, key)
        case [_, *_]:
            yield (*above, 0)
            yield above
        case _:
            yield above


def test_a_wrong_value_of_every_key_is_told_in_chinese() -> None:
    content = params_file.read(ROOT / "params.yaml")
    told = []
    for keys in leaves(content):
        for wrong in ({}, "?", -1, 10**9, 0.5, math.inf):
            spoilt = copy.deepcopy(content)
            within = spoilt
            for key in keys[:-1]:
                within = within[key]
            within[keys[-1]] = wrong
            with in_language("zh"):
                try:
                    all_sections.check(spoilt)
                except UserError as error:
                    told.append(str(error))
    assert len(told) > 500
    assert [each for each in told if ENGLISH.search(each)] == []


@dataclass
class Case:
    """A command, what it finds in its folder, its exit code and what it says in Chinese."""

    command: tuple[str, ...]
    files: dict[str, str]
    code: int
    said: str


CASES = {
    "a wrong value of params.yaml": Case(
        ("stages/check.py",),
        {"params.yaml": PARAMS.replace("max_steps: 100", "max_steps: many")},
        2,
        "check：params.yaml：train.max_steps：'many'：应为整数",
    ),
    "a CSV without its column": Case(
        ("stages/prepare.py", "poetry", "raw"),
        {"raw/poems.csv": "题目,诗\n静夜思,床前明月光\n"},
        1,
        "prepare：raw/poems.csv:1：没有 'content' 这一列；现有 题目, 诗：请运行 `dvc exp run -S ",
    ),
    "a malformed row": Case(
        ("stages/prepare.py", "novel", "raw"),
        {"raw/train.jsonl": '{"name": "书", "text": "雪落了。"}\n{"name": 书二}\n'},
        1,
        "prepare：raw/train.jsonl:2：不是 JSON：缺少值（第 10 列）",
    ),
    "code that has changed since check": Case(
        ("stages/prepare.py", "novel", "raw"),
        {"data/checked/code/prepare.novel.txt": "stages.prepare 0\n"},
        1,
        "prepare：代码或库在 `check` 之后有改动：",
    ),
    "a preset that is unknown": Case(
        ("-c", "from wenmo.tools.cli import app; app()", "preset", "haiku"),
        {"presets/embedded.yaml": "{}"},
        2,
        "preset：没有 'haiku' 这个预设；可用的有 embedded",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_command_that_fails_says_why_in_the_readers_language(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    for path, text in {"params.yaml": PARAMS, "pyproject.toml": PROJECT, **case.files}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, "utf-8")
    script, *arguments = case.command
    first = [script] if script == "-c" else [ROOT / script]
    runs = {
        each: run_python(*first, *arguments, cwd=tmp_path, environment={"WENMO_LANG": each})
        for each in ("en", "zh")
    }
    assert {run.returncode for run in runs.values()} == {case.code}, runs
    assert runs["zh"].stderr.startswith(case.said)
    assert runs["en"].stderr.isascii() or name.startswith("a CSV")
    assert runs["zh"].stderr.count("\n") == runs["en"].stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["show", "--bad"], "没有 --bad 这个选项"),
        (["shwo"], "没有 'shwo' 这个命令。是不是要 'show'？"),
        (["show", "poetry"], "多出了参数（poetry）"),
        (["inspect"], "缺少参数 'task'"),
        (["write", "--seed", "many"], "'--seed' 的值不对：应为整数"),
        (["write", "--temperature", "hot"], "'--temperature' 的值不对：应为数字"),
        (["write", "--seed"], "选项 '--seed' 要带一个值"),
        (["write", "--sed", "1"], "没有 --sed 这个选项（相近的有 --seed, --verse）"),
        (["serve", "--port", "0"], "'--port' 的值不对：不应小于 1"),
        (["serve", "--port", "65536"], "'--port' 的值不对：不应大于 65535"),
        (["export", "poetry", "--type", "q9"], "'--type' 的值不对：'q9' 不在 'f16', 'bf16', "),
        (
            ["export", "poetry", "--output", "params.yaml"],
            "'--output' 的值不对：'params.yaml' 是文件",
        ),
        (["merge-lock", "no", "no", "no"], "'base' 的值不对：没有 'no' 这个文件"),
        (["batch", "export", "poetry", "src"], "'path' 的值不对：'src' 是文件夹"),
    ],
)
def test_wrong_arguments_are_told_in_chinese(
    arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("WENMO_LANG", "zh")
    run = CliRunner().invoke(cli.app, arguments)
    assert run.exit_code == 2
    assert f"错误：{said}" in run.stderr
    monkeypatch.setenv("WENMO_LANG", "en")
    assert "Error: " in CliRunner().invoke(cli.app, arguments).stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["--lang", "zh", "preset", "haiku"],
        ["preset", "--lang", "zh", "haiku"],
        ["preset", "haiku", "--lang", "zh"],
        ["preset", "haiku", "--lang=zh"],
    ],
)
def test_the_language_is_an_option_anywhere(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("WENMO_LANG", "en")
    run = CliRunner().invoke(cli.app, arguments)
    assert run.exit_code == 2 and run.stderr.startswith("preset：没有 'haiku' 这个预设")


def test_what_follows_two_dashes_is_no_option() -> None:
    assert cli.language_first(["write", "--", "--lang", "zh"]) == ["write", "--", "--lang", "zh"]


def test_a_text_that_fails_on_the_page_says_why_in_the_browsers_language(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(ROOT)

    class Failing:
        def write(self, *_: object) -> None:
            raise UserError("{url}: no text came, and no error", url="http://localhost/v1")

    request = TextRequest("novel", "写雪。", 1, WritingParams.load("novel").generate.sampling)
    with pytest.raises(UserError, match="http://localhost/v1：没有返回文本，也没有报错"):
        list(write_both(Failing(), request, Event(), "zh"))  # type: ignore[arg-type]
