"""What the documents tell a reader to type exists, and what they name is there.

Commands are parsed by the parsers of their programs. Those that need nothing but this repository
are run, and so are the request and the Python code for `wenmo serve`. Links are checked by
`mkdocs build --strict`.
"""

import json
import re
import shlex
import shutil
import subprocess
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import dropwhile, groupby
from pathlib import Path
from typing import Any

import pytest
import typer
from dvc.cli.parser import get_main_parser
from dvc.repo import Repo
from dvc.utils.hydra import apply_overrides
from ruamel.yaml import YAML
from typer.testing import CliRunner

from tests.conftest import ROOT, dvc, git, run_python
from tests.fault_server import FaultServer
from wenmo.config import all_sections, params_file
from wenmo.config.params_file import TASKS
from wenmo.core.records import write_json_lines
from wenmo.tools import cli

ENGLISH, CHINESE, SERVING = ROOT / "README.md", ROOT / "README.zh-CN.md", ROOT / "docs/serving.md"
DOCUMENTS = [
    *(ENGLISH, CHINESE, ROOT / "CONTRIBUTING.md"),
    *sorted(ROOT.glob("docs/*.md")),
    *sorted(ROOT.glob("bench/*.md")),
]
COMMENTED = [
    *(ROOT / name for name in ("params.yaml", "endpoints.yaml", "Makefile")),
    *sorted(ROOT.glob("presets/*.yaml")),
]
"""Files whose comments name commands."""

NOT_IN_GIT = {
    *("data/raw", ".env", ".venv", ".dvc/config.local"),
    *("wheels", "checkpoints", "journals", "logs", "exports", "models/own"),
}
"""Folders and files that git ignores and DVC does not know."""

RUN = ("wenmo inspect ", "wenmo estimate ", "wenmo batch export ", "wenmo prosody ", "wenmo trace ")
POEM = "一篙春水绿，两岸杏花齐。渡口无人问，黄莺自在啼。"
SONG = (
    "柳岸轻舟系暮烟，一灯摇影照无眠。秋声飞入小窗前。"
    "旧梦已随流水去，新霜又向鬓丝边。西风吹老一湖莲。"
)

IS_VARIABLE_SET = re.compile("[A-Z_]+=").match
TRACKED = {
    name
    for name in git(ROOT, "ls-files", "--cached", "--others", "--exclude-standard").splitlines()
    if (ROOT / name).is_file()
}
INDEX = Repo(str(ROOT)).index
STAGES = {stage.addressing for stage in INDEX.stages}
OUTPUTS = {str(Path(out.fs_path).relative_to(ROOT)) for out in INDEX.outs}
PARAMS = params_file.read(ROOT / "params.yaml")


def written(path: Path) -> str:
    """A document without what `make figures` writes."""
    text = path.read_text(encoding="utf-8")
    return re.sub(r"<!-- (\S+) -->.*?<!-- /\1 -->", "", text, flags=re.S)


def fences(path: Path) -> list[tuple[str, str]]:
    """Each block of code with its language."""
    return re.findall(r"^```(\w*)\n(.*?)^```", written(path), re.S | re.M)


def prose(path: Path) -> str:
    """The text without its blocks of code."""
    return re.sub(r"^```.*?^```", "", written(path), flags=re.S | re.M)


def spans(path: Path) -> list[str]:
    """The text between backticks."""
    return re.findall(r"`([^`\n]+)`", prose(path))


def split(text: str) -> Iterator[list[str]]:
    """The words of each command in lines of shell, without comments, variables and `> file`.

    A placeholder such as `<your fork>` is one word.
    """
    waiting = ""
    text = re.sub("(?<= )<([a-z ]+)>", lambda told: told[1].replace(" ", "-"), text)
    for line in text.splitlines():
        waiting += line
        lexer = shlex.shlex(waiting, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        try:
            words = list(lexer)
        except ValueError:  # a quote that a later line closes
            waiting += "\n"
            continue
        waiting = ""
        for parts_commands, command in groupby(words, lambda word: word in {";", "&&", "|"}):
            if not parts_commands:
                words = list(dropwhile(IS_VARIABLE_SET, command))
                yield words[: words.index(">")] if ">" in words else words
    assert not waiting, f"a quote is open: {waiting}"


def commands(path: Path) -> list[list[str]]:
    """The commands of a document, in blocks of shell and between backticks."""
    lines = [body for language, body in fences(path) if language == "sh"]
    for span in spans(path):
        words = list(dropwhile(IS_VARIABLE_SET, span.split()))
        if len(words) > 1 and words[0] in CHECKS:
            lines.append(span)
    return [words for words in split("\n".join(lines)) if words]


def check_make(words: list[str], _: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (targets,) = re.findall(r"^\.PHONY: (.+)$", makefile, re.M)
    for word in words[1:]:
        name, given, value = word.partition("=")
        if given:
            assert f"$({name})" in makefile
            assert name != "NAME" or f"presets/{value}.yaml" in TRACKED
        else:
            assert name in targets.split()


def check_wenmo(words: list[str], _: Path) -> None:
    """A command that is named without arguments needs none here."""
    command, rest = typer.main.get_command(cli.app), words[1:]
    while hasattr(command, "commands"):
        assert rest[0] in command.commands, f"wenmo has no {rest[0]}"
        command = command.commands[rest.pop(0)]
    if rest:
        command.make_context(words[1], rest)


def check_dvc(words: list[str], folder: Path) -> None:
    arguments = get_main_parser().parse_args(words[1:])
    if words[1] in {"repro", "exp"}:
        assert set(getattr(arguments, "targets", None) or []) <= STAGES
    if overrides := getattr(arguments, "set_param", None):
        shutil.copy2(ROOT / "params.yaml", folder)
        apply_overrides(folder / "params.yaml", overrides)
        all_sections.check(params_file.read(folder / "params.yaml"))


def check_pip(words: list[str], _: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = iter(words[2:])
    for word in asked:
        if word == "-c":
            assert next(asked) in TRACKED
        elif word == "-e":
            extras = re.fullmatch(r"\.\[(.+)\]", next(asked))[1].split(",")
            assert set(extras) <= project["optional-dependencies"].keys()
        elif words[2:] == ["--no-index", "--no-deps", "wheels/*.whl"]:
            return
        else:
            assert re.sub(r"\[\w+\]", "", word) in project["dependencies"]


def check_python(words: list[str], _: Path) -> None:
    name = words[2].replace(".", "/")
    assert words[1] == "-m"
    assert words[2] == "venv" or f"{name}.py" in TRACKED or f"{name}/__main__.py" in TRACKED


def check_files(words: list[str], _: Path) -> None:
    """Another program, which may be handed files of ours."""
    names = {word for word in words if re.fullmatch(r"[\w.]+(/[\w.]+)+", word)}
    assert all(is_there(name) for name in names), names


CHECKS: dict[str, Callable[[list[str], Path], None]] = {
    "make": check_make,
    "wenmo": check_wenmo,
    "dvc": check_dvc,
    "pip": check_pip,
    "python": check_python,
    "python3": check_python,
    **dict.fromkeys(
        [
            *("accelerate", "cd", "curl", "echo", "git", "gto", "llama-cli", "llama-server"),
            *("helm", "kubectl", "mkdir", "mkdocs", "ollama", "pre-commit", "pytest", "ray"),
            *("sbatch", "source", "srun", "torchrun", "vllm"),
        ],
        check_files,
    ),
}


def is_there(name: str) -> bool:
    """Whether a file or folder is in git, is made by the pipeline, or is missing by design."""
    name = name.rstrip("/")
    above = {name, *map(str, Path(name).parents)}
    if above & (NOT_IN_GIT | OUTPUTS) or name.startswith(("reports/compare.", "reports/inspect-")):
        return True
    return any(each == name or each.startswith(f"{name}/") for each in TRACKED | OUTPUTS)


@pytest.mark.parametrize("path", [*DOCUMENTS, *COMMENTED], ids=lambda path: path.name)
def test_a_command_is_one_that_its_program_takes(path: Path, tmp_path: Path) -> None:
    for words in commands(path):
        assert words[0] in CHECKS, f"{words[0]} is no program that a test knows"
        try:
            CHECKS[words[0]](words, tmp_path)
        except Exception as error:
            raise AssertionError(f"{path.name}: {shlex.join(words)}: {error}") from error


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_a_run_that_a_document_shows_goes_to_its_end(path: Path) -> None:
    """`overview` tells what was found and read, and the next command; a look needs none."""
    blocks = "\n".join(body for language, body in fences(path) if language == "sh")
    for words in split(blocks):
        if words[:2] == ["dvc", "repro"] or words[:3] == ["dvc", "exp", "run"]:
            targets = getattr(get_main_parser().parse_args(words[1:]), "targets", None)
            is_look = targets and all(each.startswith("prepare@") for each in targets)
            assert not targets or "overview" in targets or is_look, shlex.join(words)


def test_a_single_task_is_refused_in_the_words_that_the_documents_have(
    clone: Path, tmp_path: Path
) -> None:
    shutil.copytree(clone, tmp_path / "wenmo")
    run = dvc(tmp_path / "wenmo", "exp", "run", "-S", "tasks=poetry")
    assert run.returncode != 0
    told = run.stderr.rstrip().rpartition(": ")[2]
    assert f"`{told}`" in prose(ROOT / "docs/experiments.md")
    git(tmp_path / "wenmo", "restore", "params.yaml")
    assert git(tmp_path / "wenmo", "status", "--porcelain") == ""


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_a_file_that_a_document_names_is_there(path: Path) -> None:
    """A path begins with a name in the repository's root; a bare file name needs no folder."""
    roots = {each.split("/")[0] for each in TRACKED | OUTPUTS | NOT_IN_GIT}
    for span in spans(path):
        for task in TASKS:
            name = re.sub("<(task|任务)>", task, span).partition(":")[0]
            if re.fullmatch(r"[\w./-]+", name) and "/" in name and name.split("/")[0] in roots:
                assert is_there(name), span


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_a_parameter_that_a_document_names_is_there(path: Path) -> None:
    for span in spans(path):
        first, *rest = span.partition(": ")[0].split(".")
        if rest and first in PARAMS and span not in TRACKED:
            section: Any = PARAMS[first]
            for name in rest:
                assert name in section, span
                section = section[name]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_a_test_that_a_document_names_is_there(path: Path) -> None:
    tests = "\n".join(each.read_text(encoding="utf-8") for each in ROOT.glob("tests/*.py"))
    named = [name for span in spans(path) if (name := span.split("::")[-1]).startswith("test_")]
    assert [name for name in named if f"def {name}(" not in tests] == []


@pytest.mark.parametrize("path", [ENGLISH, CHINESE], ids=lambda path: path.name)
def test_the_listed_folders_and_files_are_there(path: Path) -> None:
    (tree,) = [body for language, body in fences(path) if not language]
    names = [name for line in tree.splitlines() for name in re.split(" {2,}", line)[0].split()]
    assert [name for name in names if not is_there(name)] == []


def test_both_languages_have_the_same_commands_names_links_and_headings() -> None:
    def links(path: Path) -> Counter[str]:
        either = re.sub(r"README(\.zh-CN)?\.md", "README", prose(path))
        return Counter(re.findall(r"\]\(([^)]+)\)", either))

    def headings(path: Path) -> list[str]:
        return re.findall(r"^#+(?= )", prose(path), re.M)

    def diagrams(path: Path) -> list[str]:
        return [body for language, body in fences(path) if language == "mermaid"]

    for told in (headings, links, diagrams, commands):
        assert told(ENGLISH) == told(CHINESE)
    assert Counter(spans(ENGLISH)) == Counter(spans(CHINESE))


def test_the_lock_has_the_stages_of_the_pipeline_and_no_others() -> None:
    lock = YAML(typ="safe").load((ROOT / "dvc.lock").read_text(encoding="utf-8"))
    assert set(lock["stages"]) == STAGES


@pytest.fixture(scope="module")
def prepared(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository whose data stages have run, with rows of text in place of a model's."""
    folder = tmp_path_factory.mktemp("documents") / "wenmo"
    shutil.copytree(clone, folder)
    runs = [("prepare", task, f"data/sample/{task}") for task in TASKS]
    for stage, *arguments in [*runs, ("summarize", "novel"), ("merge", "novel")]:
        run = run_python(f"stages/{stage}.py", *arguments, cwd=folder)
        assert run.returncode == 0, run.stderr
    prompts = (folder / "data/test/novel.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in prompts]
    write_json_lines(
        folder / "outputs/novel/submit.json",
        [
            {"instruction": row["instruction"], "input": row["input"], "output": "雪落了。"}
            for row in rows
        ],
    )
    return folder


def to_run() -> list[str]:
    told = (shlex.join(words) for path in DOCUMENTS for words in commands(path))
    return [command for command in dict.fromkeys(told) if command.startswith(RUN)]


@pytest.mark.parametrize("command", to_run())
def test_a_command_runs(command: str, prepared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(prepared)
    monkeypatch.setenv("WENMO_STORE", str(prepared / "data/raw/answers"))
    poem = SONG if "--tune" in command else POEM
    words = [poem if word == "<poem>" else word for word in shlex.split(command)]
    # A cost or a batch is asked for once an endpoint has been chosen.
    apply_overrides(prepared / "params.yaml", ["summarize.provider=deepseek"])
    result = CliRunner().invoke(cli.app, words[1:])
    assert result.exit_code == 0, result.output


def code_for_the_server(language: str, first: str) -> str:
    (body,) = [b for kind, b in fences(SERVING) if kind == language and b.startswith(first)]
    return body


def test_the_request_and_the_python_code_are_answered() -> None:
    """By a stand-in for `wenmo serve`."""
    curl, python = code_for_the_server("sh", "curl"), code_for_the_server("python", "from openai")
    address = "http://127.0.0.1:8000"
    with FaultServer() as server:
        (words,) = split(curl.replace(address, server.address))
        asked = subprocess.run(words, capture_output=True, text=True, timeout=60)
        assert json.loads(asked.stdout)["choices"][0]["message"]["content"]
        run = run_python("-c", python.replace(address, server.address))
        assert run.returncode == 0, run.stderr
        assert run.stdout.strip()
        assert server.calls == 2


def test_the_system_prompts_shown_are_those_of_training() -> None:
    (words,) = split(code_for_the_server("sh", "curl"))
    request = json.loads(words[words.index("-d") + 1])
    model, prompt = re.search(
        r'model="(\w+)".*?"role": "system", "content": "(.+?)"',
        code_for_the_server("python", "from openai"),
        re.S,
    ).groups()
    for task, told in {request["model"]: request["messages"][0]["content"], model: prompt}.items():
        assert told == PARAMS[task]["chat"]["system_prompt"]
