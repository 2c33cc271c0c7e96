"""The READMEs and other documents name only what there is, and the commands in them run.

Every code span, link and command of DOCUMENTS is looked at: a file must be in git, come from the
pipeline or stand in IGNORED; a command must be one that its program takes. Run are those that take
seconds and need nothing but this repository: those of RUN, the request and the Python code for the
server. The others train, install, download, upload, serve or need an experiment; of these the words
are checked, by the parsers of wenmo and DVC themselves.
"""

import ast
import json
import re
import shlex
import shutil
import subprocess
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import fields
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
from wenmo.core.errors import ParamsError
from wenmo.core.records import Row, write_json_lines
from wenmo.tools import cli

ENGLISH, CHINESE = ROOT / "README.md", ROOT / "README.zh-CN.md"
DOCUMENTS = [ENGLISH, CHINESE, *sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("bench/*.md"))]
COMMENTED = [
    *(ROOT / name for name in ("params.yaml", "endpoints.yaml", "Makefile")),
    *sorted(ROOT.glob("presets/*.yaml")),
]
"""Files whose comments name commands."""

IGNORED = {
    "data/raw": "the user's own texts",
    ".env": "the user's keys",
    ".venv": "made by make",
    "wheels": "made by make wheels",
    ".dvc/config.local": "the credentials of who may write",
    "checkpoints": "what an interrupted training goes on from",
    "journals": "what interrupted writing goes on from",
    "logs": "varies from run to run",
}
"""What is in no clone, by design."""

WORDS = {
    "auto": "a precision",
    "dvc": "a program",
    "make": "a program",
    "split('。')": "what the baseline did",
}
"""Code spans that name nothing of this repository, or a value that params.yaml has not now."""

OF_OTHERS = (
    *("--local", "allow_anonymous_login", "endpointurl"),
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_MAX_ATTEMPTS"),
    *("Forbidden", "Access Denied", "Unable to locate credentials"),
    *("Could not connect to the endpoint URL", "failed to transfer … PutObject"),
    "… is supported, but requires 'dvc-s3' to be installed",
    *("Unable to acquire lock", "is busy, it is being blocked by", "Unable to read RWLock-file"),
    *("failed to reproduce 'check_params': 'outs'", "'./dvc.lock' validation failed"),
    "find .dvc/cache/runs -name '.*.tmp' -delete",
)
"""Words of DVC, its storage and the system; test_sharing.py and test_faults.py provoke messages."""

RUN = (
    "wenmo inspect",
    "wenmo estimate",
    "wenmo batch export",
    "wenmo prosody",
    "wenmo trace",
    "dvc add",
    "dvc metrics diff",
    "dvc exp show",
)
IS_VARIABLE_SET = re.compile("[A-Z_]+=").match
POEM = "一篙春水绿，两岸杏花齐。渡口无人问，黄莺自在啼。"


def listed(*options: str) -> set[str]:
    return set(filter(None, git(ROOT, "ls-files", *options, "-z").split("\0")))


FILES = {
    name for name in listed("--cached", "--others", "--exclude-standard") if (ROOT / name).is_file()
}
TRACKED = FILES | {str(folder) for name in FILES for folder in Path(name).parents}
CODE = "\n".join(
    path.read_text(encoding="utf-8")
    for folder in ("src", "stages")
    for path in sorted((ROOT / folder).rglob("*.py"))
)
TESTS = "\n".join(path.read_text(encoding="utf-8") for path in sorted(ROOT.glob("tests/*.py")))
INDEX = Repo(str(ROOT)).index
STAGES = {stage.addressing for stage in INDEX.stages}
OUTPUTS = {str(Path(out.fs_path).relative_to(ROOT)) for out in INDEX.outs}
PARAMS = params_file.read(ROOT / "params.yaml")


def sections(content: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Every key and section by its dotted name."""
    for key, value in content.items():
        yield f"{above}{key}", value
        if isinstance(value, dict):
            yield from sections(value, f"{above}{key}.")


KEYS = dict(sections(PARAMS)) | dict(sections(params_file.read(ROOT / "endpoints.yaml")))


def written(path: Path) -> str:
    """A document without the tables and texts that `make figures` writes, in English words."""
    text = path.read_text(encoding="utf-8")
    text = re.sub(r"<!-- (\S+) -->.*?<!-- /\1 -->", "", text, flags=re.S)
    return text.replace("<任务>", "<task>").replace("<诗>", "<poem>")


def fences(path: Path) -> list[tuple[str, str]]:
    """Each block of code with its language."""
    return re.findall(r"^```(\w*)\n(.*?)^```", written(path), re.S | re.M)


def prose(path: Path) -> str:
    """The text without its blocks of code."""
    return re.sub(r"^```.*?^```", "", written(path), flags=re.S | re.M)


def spans(path: Path) -> list[str]:
    """What stands between backticks in the text."""
    return re.findall(r"`([^`\n]+)`", prose(path))


def split(text: str) -> Iterator[list[str]]:
    """The words of each command in lines of shell, without comments, variables and `> file`.

    What the reader fills in, `<your fork>`, is one word.
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
        for parts_commands, command in groupby(words, lambda word: word in {";", "&&"}):
            if not parts_commands:
                words = list(dropwhile(IS_VARIABLE_SET, command))
                yield words[: words.index(">")] if ">" in words else words
    assert not waiting, f"a quote is open: {waiting}"


def is_command(span: str) -> bool:
    words = list(dropwhile(IS_VARIABLE_SET, span.split()))
    return len(words) > 1 and words[0] in CHECKS


def commands(path: Path) -> list[list[str]]:
    text = "\n".join(body for language, body in fences(path) if language == "sh")
    text += "\n".join(["", *filter(is_command, spans(path))])
    return [words for words in split(text) if words]


def check_make(words: list[str], _: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (targets,) = re.findall(r"^\.PHONY: (.+)$", makefile, re.M)
    for word in words[1:]:
        name, given, value = word.partition("=")
        if given:
            assert f"$({name})" in makefile
            assert name != "NAME" or f"presets/{value}.yaml" in FILES
        else:
            assert name in targets.split()


def check_wenmo(words: list[str], _: Path) -> None:
    """One whose name stands alone is only talked about."""
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


def check_git(words: list[str], _: Path) -> None:
    assert words[1] in {"add", "checkout", "clone", "commit", "restore", "status"}
    if words[1] in {"checkout", "restore", "status"}:
        assert set(words[2:]) <= TRACKED


def check_pip(words: list[str], _: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].keys()
    assert words[1] == "install"
    asked = iter(words[2:])
    for word in asked:
        if word == "-c":
            assert next(asked) in FILES
        elif word == "-e":
            assert set(re.fullmatch(r"\.\[(.+)\]", next(asked))[1].split(",")) <= extras
        else:
            (pin,) = [pin for pin in project["dependencies"] if pin.startswith("dvc==")]
            assert re.sub(r"\[\w+\]", "", word) == pin


def check_python(words: list[str], _: Path) -> None:
    """A module of bench/, whose docstring says how it is run, or Python's own venv."""
    assert words[1] == "-m"
    if words[2] == "venv":
        return
    source = (ROOT / f"{words[2].replace('.', '/')}.py").read_text(encoding="utf-8")
    usage = re.findall(r"^python -m .+", ast.get_docstring(ast.parse(source)), re.M)
    assert words in [told for line in usage for told in split(line)]


def check_files(words: list[str], _: Path) -> None:
    """A program of others, which may be handed files of ours."""
    names = {word for word in words if re.fullmatch(r"[\w.]+(/[\w.]+)+", word)}
    assert all(is_there(name) for name in names), names


CHECKS: dict[str, Callable[[list[str], Path], None]] = {
    "make": check_make,
    "wenmo": check_wenmo,
    "dvc": check_dvc,
    "git": check_git,
    "pip": check_pip,
    "python": check_python,
    "python3": check_python,
    "accelerate": check_files,
    "cd": check_files,
    "curl": check_files,
    "mkdir": check_files,
    "source": check_files,
    "torchrun": check_files,
    "vllm": check_files,
}


@pytest.mark.parametrize("path", [*DOCUMENTS, *COMMENTED], ids=lambda path: path.name)
def test_a_command_is_one_that_its_program_takes(path: Path, tmp_path: Path) -> None:
    for words in commands(path):
        assert words[0] in CHECKS, f"{words[0]} is no program that a test knows"
        try:
            CHECKS[words[0]](words, tmp_path)
        except Exception as error:
            raise AssertionError(f"{path.name}: {shlex.join(words)}: {error}") from error


def is_there(name: str) -> bool:
    """Whether a file or folder is in git, comes from the pipeline, or is missing by design."""
    name = name.rstrip("/")
    above = {name, *map(str, Path(name).parents)}
    if name in TRACKED or above & IGNORED.keys():
        return True
    if name in OUTPUTS or any(Path(name) in Path(output).parents for output in OUTPUTS):
        return True
    # Else a file below an output, one told by its bare name, or a page that a command writes.
    place, file = Path(name).parent, Path(name).name
    may_be_made = above & OUTPUTS or ("." in file and str(place) in {"reports", "."})
    return bool(may_be_made) and f'{file}"' in CODE


def is_path(span: str) -> bool:
    names = r"\*?[\w.]*\.(csv|env|html|jsonl?|lock|md|toml|txt|yaml)"
    return ": " not in span and ("/" in span or bool(re.fullmatch(names, span)))


def is_word(span: str) -> bool:
    """A stage, task, preset, part of a key, value, or column of a row."""
    names = {stage.partition("@")[0] for stage in STAGES} | set(TASKS) | {"base"}
    presets = {Path(name).stem for name in FILES if name.startswith("presets/")}
    parts = {part for key in KEYS for part in key.split(".")}
    values = {value for value in KEYS.values() if isinstance(value, str)}
    columns = {field.name for field in fields(Row)}
    return span in {*names, *presets, *parts, *values, *columns, *WORDS, *OF_OTHERS}


def is_option(span: str) -> bool:
    """Of the command serve, of which alone options stand in the text by themselves."""
    serve = typer.main.get_command(cli.app).commands["serve"]
    name, *value = span.split()
    return any(name in option.opts for option in serve.params) and all(v in TASKS for v in value)


def is_variable(span: str) -> bool:
    """Of the environment, perhaps with its value, as the code, tests or endpoints name it."""
    name, _, value = span.partition("=")
    known = name in CODE + TESTS or name in KEYS.values() or name in OF_OTHERS
    known |= f"$({name})" in (ROOT / "Makefile").read_text(encoding="utf-8")
    return bool(re.fullmatch("[A-Z_]+", name)) and known and f'"{value}"' in f'{CODE}""'


def is_test(span: str) -> bool:
    return span.startswith("test_") and f"def {span}(" in TESTS


def is_key(span: str) -> bool:
    """A dotted key, or `key: value` in which the key may be told by its last names."""
    name, given, value = span.partition(": ")
    matching = [key for key in KEYS if key == name or (given and key.endswith(f".{name}"))]
    if not given:
        return bool(matching)
    return any(fits(key, YAML(typ="safe").load(value)) for key in matching)


def fits(key: str, value: Any) -> bool:
    """Whether the schema takes a value, other things being as they must be for it."""
    content = params_file.read(ROOT / "params.yaml")
    section, name = content, key
    while "." in name:
        first, _, name = name.partition(".")
        section = section[first]
    section[name] = value
    try:
        all_sections.check(content)
    except ParamsError:
        return False
    return True


def is_known(span: str) -> bool:
    if is_word(span) or is_command(span) or is_test(span):
        return True
    if span.startswith("--"):
        return is_option(span)
    if span.startswith("{"):
        columns = {field.name for field in fields(Row)}
        return all(f'"{key}"' in CODE or key in columns for key in re.findall(r'"(\w+)":', span))
    if is_path(span):
        return all(is_there(span.replace("<task>", task)) for task in TASKS)
    return is_variable(span) or is_key(span)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_what_a_document_names_is_there(path: Path) -> None:
    assert [span for span in spans(path) if not is_known(span)] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_a_link_leads_to_a_file_in_git(path: Path) -> None:
    targets = re.findall(r"\]\(([^)]+)\)", prose(path))
    ours = [target.partition("#")[0] for target in targets if "://" not in target]
    found = {str((ROOT / name).resolve()) for name in TRACKED}
    assert [target for target in ours if str((path.parent / target).resolve()) not in found] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_a_variable_of_the_environment_is_read(path: Path) -> None:
    names = re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", written(path))
    assert [name for name in names if not is_variable(name)] == []


@pytest.mark.parametrize("path", [ENGLISH, CHINESE], ids=lambda path: path.name)
def test_the_listed_folders_and_files_are_there(path: Path) -> None:
    """A name stands before two blanks; what is indented by two lies in the package."""
    (tree,) = [body for language, body in fences(path) if not language]
    for line in tree.splitlines():
        indent = len(line) - len(line.lstrip())
        if indent > 2:  # the description goes on
            continue
        for name in re.split(r" {2,}", line.strip())[0].split():
            inside = "src/wenmo/" if indent else ""
            assert is_there(f"{inside}{name.removesuffix('…')}"), name


def test_both_languages_have_the_same_commands_names_links_and_headings() -> None:
    def outline(path: Path) -> list[str]:
        return re.findall(r"^#+(?= )", prose(path), re.M)

    def links(path: Path) -> Counter[str]:
        either = re.sub(r"README(\.zh-CN)?\.md", "README", prose(path))
        return Counter(re.findall(r"\]\(([^)]+)\)", either))

    def python(path: Path) -> list[str]:
        return [body for language, body in fences(path) if language == "python"]

    for told in (outline, links, python):
        assert told(ENGLISH) == told(CHINESE)
    assert sorted(commands(ENGLISH)) == sorted(commands(CHINESE))
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
    shutil.copytree(folder / "data/sample/poetry", folder / "data/raw/poetry")
    return folder


@pytest.fixture
def repository(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The same as current folder, with a store of answers of its own, brought back afterwards."""
    monkeypatch.chdir(prepared)
    monkeypatch.setenv("WENMO_STORE", str(prepared / "data/raw/answers"))
    yield prepared
    git(prepared, "checkout", "--quiet", ".")


def to_run() -> list[str]:
    told = dict.fromkeys(shlex.join(words) for words in commands(ENGLISH))
    return [command for command in told if command.startswith(RUN)]


@pytest.mark.parametrize("command", to_run())
def test_a_command_runs(command: str, repository: Path) -> None:
    words = [POEM if word == "<poem>" else word for word in shlex.split(command)]
    if command.startswith(("wenmo estimate", "wenmo batch")):
        # Both are about an LLM's endpoint, and by then the reader has chosen one.
        apply_overrides(repository / "params.yaml", ["summarize.provider=deepseek"])
    if words[0] == "dvc":
        run = dvc(repository, *words[1:])
        assert run.returncode == 0, run.stderr
    else:
        result = CliRunner().invoke(cli.app, words[1:])
        assert result.exit_code == 0, result.output


def of_the_server(language: str, first: str) -> str:
    """The block of code that asks the models."""
    (body,) = [b for kind, b in fences(ENGLISH) if kind == language and b.startswith(first)]
    return body


def test_the_request_and_the_python_code_are_answered() -> None:
    """By a stand-in for `wenmo serve` that is asked what the README says."""
    curl, python = of_the_server("sh", "curl"), of_the_server("python", "from openai")
    address = "http://127.0.0.1:8000"
    with FaultServer() as server:
        (words,) = split(curl.replace(address, server.address))
        asked = subprocess.run(words, capture_output=True, text=True, timeout=60)
        assert json.loads(asked.stdout)["choices"][0]["message"]["content"]
        run = run_python("-c", python.replace(address, server.address))
        assert run.returncode == 0, run.stderr
        assert run.stdout.strip()
        assert server.calls == 2


def test_the_system_prompts_shown_are_those_that_were_trained_with() -> None:
    (words,) = split(of_the_server("sh", "curl"))
    request = json.loads(words[words.index("-d") + 1])
    asked = {request["model"]: request["messages"][0]["content"]}
    model, prompt = re.search(
        r'model="(\w+)".*?"role": "system", "content": "(.+?)"',
        of_the_server("python", "from openai"),
        re.S,
    ).groups()
    for task, told in (asked | {model: prompt}).items():
        assert told == PARAMS[task]["chat"]["system_prompt"]
