"""What people read is in English or Chinese, and whatever DVC hashes does not depend on it."""

import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rich.cells import cell_len
from typer.testing import CliRunner

from tests.conftest import ROOT
from tests.small_report import report
from wenmo.core.language import CATALOGUE, gettext, in_language, language, ngettext, translations
from wenmo.report.page import write_page
from wenmo.tools import catalogue
from wenmo.tools.cli import app

if TYPE_CHECKING:
    from playwright.sync_api import Browser

VARIABLES = ("WENMO_LANG", "LC_ALL", "LC_MESSAGES", "LANG")


def test_the_catalogue_translates_every_message_of_the_source() -> None:
    assert list(catalogue.faults()) == []


ONE_WORD = (
    *("raw text", "row", "prompt", "reference", "held-out rows", "held-out loss", "sampling"),
    *(
        "seed",
        "primary score",
        "exact form",
        "interval",
        "floor",
        "judge",
        "preset",
        "system prompt",
    ),
)
"""Terms that mean the same in every message."""

NO_WORDS = re.compile(r"\{.*?\}|`.*?`|\w+(?:[._]\w+)+|--\w+|in a row")
"""Placeholders, commands, keys and options, which stay as they are, and an idiom."""


@pytest.mark.parametrize("term", ONE_WORD)
def test_the_catalogue_calls_a_thing_as_the_glossary_does(term: str) -> None:
    lines = (ROOT / "docs/glossary.md").read_text("utf-8").splitlines()
    (chinese,) = (line.split(" | ")[1] for line in lines if line.startswith(f"| {term} | "))
    named = {
        message: translation
        for message, translation in translations().items()
        if re.search(rf"\b{term}\b", NO_WORDS.sub("", message))
    }
    assert named
    assert [each for each in named.values() if chinese not in each] == []


def test_no_message_is_where_babel_does_not_look() -> None:
    for path in catalogue.SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.JoinedStr):
                names = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
                assert not names & {"gettext", "ngettext", "N_"}, f"{path}:{node.lineno}"


def test_the_catalogue_is_as_babel_writes_it(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = tmp_path_factory.mktemp("catalogue") / "wenmo.po"
    read = catalogue.read()
    read.update(catalogue.messages_of_source(), no_fuzzy_matching=True)
    monkeypatch.setattr(catalogue, "CATALOGUE", written)
    catalogue.write(read)
    assert written.read_text("utf-8") == CATALOGUE.read_text("utf-8")


@pytest.mark.parametrize(
    ("translation", "fault"),
    [
        ("", "not translated"),
        ("没有 {nomber} 条样本", "other placeholders"),
        ("没有样本", "other placeholders"),
        ("没有 {number} 条样本", ""),
    ],
)
def test_a_translation_keeps_the_placeholders(translation: str, fault: str) -> None:
    message = catalogue.Message("no {number} rows", translation)
    assert catalogue._fault(message) == fault


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_TW.UTF-8"}, "zh"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LC_ALL": "C", "LANG": "zh_CN.UTF-8"}, "en"),
        ({"LC_ALL": "", "LC_MESSAGES": "zh_CN.UTF-8", "LANG": "en_US.UTF-8"}, "zh"),
        ({"WENMO_LANG": "zh", "LC_ALL": "en_US.UTF-8"}, "zh"),
        ({"WENMO_LANG": "en", "LC_ALL": "zh_CN.UTF-8"}, "en"),
        ({"WENMO_LANG": "fr", "LC_ALL": "zh_CN.UTF-8"}, "en"),
    ],
)
def test_the_environment_chooses_the_language(
    environment: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    assert language() == expected


def test_a_count_has_its_form_in_each_language(monkeypatch: pytest.MonkeyPatch) -> None:
    translations = {"{count} row": "{count} 条样本"}
    monkeypatch.setattr("wenmo.core.language.translations", lambda: translations)
    told = {}
    for each in ("en", "zh"):
        with in_language(each):
            told[each] = [ngettext("{count} row", "{count} rows", count) for count in (1, 2)]
    assert told == {"en": ["1 row", "2 rows"], "zh": ["1 条样本", "2 条样本"]}


def test_braces_in_a_value_are_no_placeholder() -> None:
    with in_language("zh"):
        assert gettext("{name} unknown to all", name="{other}") == "{other} unknown to all"


def test_the_option_prevails_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    def heading(*arguments: str) -> str:
        return CliRunner().invoke(app, [*arguments, "show", "--help"]).stdout.splitlines()[0]

    monkeypatch.setenv("WENMO_LANG", "en")
    assert heading() == "Usage: wenmo show [OPTIONS]".replace("wenmo", "root")
    assert heading("--lang", "zh").startswith("用法：")
    monkeypatch.setenv("WENMO_LANG", "zh")
    assert heading("--lang", "en").startswith("Usage: ")
    assert CliRunner().invoke(app, ["--lang", "fr", "show"]).exit_code == 2


COMMANDS = [
    [command.name or command.callback.__name__.replace("_", "-")]
    for command in app.registered_commands
]


@pytest.mark.parametrize("command", [[], *COMMANDS], ids=lambda command: " ".join(command))
def test_help_is_in_chinese_and_fits_the_terminal(
    command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WENMO_LANG", "zh")
    monkeypatch.setenv("COLUMNS", "80")
    lines = CliRunner().invoke(app, [*command, "--help"]).stdout.splitlines()
    assert lines[0].startswith("用法：") and "选项：" in lines
    assert max(map(cell_len, lines)) <= 80
    assert not re.search(r"\[OPTIONS\]|ARGS|<[a-z ]+[\[>]", "\n".join(lines))
    for line in lines:
        assert not line.lstrip().startswith(tuple("，。；：、）》”"))


def test_english_reads_no_catalogue() -> None:
    code = (
        "import sys\n"
        "sys.addaudithook(lambda event, given: event == 'open' and print(given[0]))\n"
        "from wenmo.core.language import gettext; gettext('rows')"
    )
    opened = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert "language" in opened and "wenmo.po" not in opened


def test_a_page_does_not_depend_on_the_machines_language(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = set()
    for each in ("en", "zh"):
        monkeypatch.setenv("WENMO_LANG", each)
        write_page(tmp_path / "page.html", report())
        written.add((tmp_path / "page.html").read_bytes())
    assert len(written) == 1


def test_a_browser_shows_a_page_in_its_language_and_keeps_the_readers_choice(
    browser: "Browser", tmp_path: Path
) -> None:
    path = tmp_path / "page.html"
    write_page(path, report())
    context = browser.new_context(locale="zh-CN")
    page, refused = context.new_page(), []
    page.on("console", lambda message: refused.append(message.text))
    page.goto(path.as_uri())
    assert page.inner_text("h1") == "微调后的模型比基座更能守住所要求的诗体。"
    assert page.get_attribute("html", "lang") == "zh-Hans"
    assert page.inner_text("#found") == "2 条提示"
    assert page.get_attribute("#search", "placeholder") == "提示和文本"
    assert page.locator("#outcome option").all_inner_texts() == [
        "全部",
        "微调后胜",
        "平",
        "微调后负",
    ]
    page.fill("#search", "夜雪")
    page.click("#language")
    assert page.inner_text("h1") == "Tuned keeps the form more often than base."
    assert page.inner_text("#found") == "1 of 2 prompts"
    page.reload()
    assert page.inner_text("h1") == "Tuned keeps the form more often than base."
    page.click("#language")
    assert page.inner_text("h1") == "微调后的模型比基座更能守住所要求的诗体。"
    assert refused == []
    context.close()
    english = browser.new_page(locale="en-GB")
    english.goto(path.as_uri())
    assert english.inner_text("h1") == "Tuned keeps the form more often than base."
    english.close()
