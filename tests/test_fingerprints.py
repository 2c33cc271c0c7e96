"""A stage's fingerprint changes by any edit of its libraries and modules but of words."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from stages.check import LOADABLE

from tests.conftest import ROOT
from wenmo.core import fingerprints
from wenmo.core.errors import UserError

LAYERS = ("core", "config", "text llm model engines", "tasks scoring report", "methods", "tools")
"""The rooms of src/wenmo from the ground up: a room imports from its own row and rows before it."""


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the sources, whose fingerprints are then the ones asked for."""
    for file in ("params.yaml", "pyproject.toml"):
        shutil.copy2(ROOT / file, tmp_path)
    for folder in ("src", "stages"):
        shutil.copytree(
            ROOT / folder,
            tmp_path / folder,
            ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"),
        )
    monkeypatch.setattr(fingerprints, "SOURCE", tmp_path / "src")
    monkeypatch.setattr(fingerprints, "STAGES", tmp_path / "stages")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def all_of_them() -> dict[str, str]:
    fingerprints._read.clear()
    return fingerprints.all_fingerprints(LOADABLE)


def changed(before: dict[str, str]) -> set[str]:
    after = all_of_them()
    return {stage for stage in before if before[stage] != after[stage]}


def replace_in(path: Path, found: str, edited: str) -> None:
    path.write_text(path.read_text("utf-8").replace(found, edited, 1), "utf-8")


def reworded(source: str) -> str:
    """A source with other docstrings, more comments and other line numbers."""
    lines = source.splitlines()
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    found = [
        node.body[0]
        for node in ast.walk(ast.parse(source))
        if isinstance(node, documented) and ast.get_docstring(node)
    ]
    for text in sorted(found, key=lambda node: -node.lineno):
        lines[text.lineno - 1 : text.end_lineno] = [f'{" " * text.col_offset}"""Other words."""']
    return "\n".join(["# A comment.", *lines, "# Another one."]) + "\n"


def test_comments_docstrings_and_line_breaks_change_nothing(tree: Path) -> None:
    before = all_of_them()
    for path in [*(tree / "src").rglob("*.py"), *(tree / "stages").glob("*.py")]:
        path.write_text(reworded(path.read_text("utf-8")), "utf-8")
    assert changed(before) == set()


@pytest.mark.parametrize(
    ("file", "stages"),
    [
        ("src/wenmo/text/split.py", "merge"),
        ("src/wenmo/model/training.py", "train"),
        ("src/wenmo/methods/sft.py", "train.sft"),
        ("src/wenmo/scoring/rewards.py", "train.grpo"),
        ("src/wenmo/model/loss.py", "baseline generate train.grpo"),
        ("src/wenmo/engines/vllm.py", "baseline.vllm generate.vllm"),
        ("src/wenmo/tasks/poetry.py", "prepare.poetry"),
        ("src/wenmo/scoring/overlap.py", "evaluate report"),
        ("src/wenmo/report/charts.py", "report"),
        ("src/wenmo/report/page.css", "report overview"),
        ("src/wenmo/locale/zh_CN/LC_MESSAGES/wenmo.po", "report"),
        ("src/wenmo/tools/cli.py", ""),
        ("stages/evaluate.py", "evaluate"),
    ],
)
def test_an_edit_makes_the_stages_stale_that_import_the_module(
    tree: Path, file: str, stages: str
) -> None:
    before = all_of_them()
    with (tree / file).open("a", encoding="utf-8") as source:
        source.write("\nmore = 1\n")
    wanted = stages.split()
    assert changed(before) == {
        each for each in before if each in wanted or each.partition(".")[0] in wanted
    }


CODE = "def double(number, times=2):\n    total = number * times\n    return total\n"


@pytest.mark.parametrize(
    ("found", "edited"),
    [
        ("times=2", "times=3"),
        ("times=2", 'times="2"'),
        ("number *", "number +"),
        ("return total", "return number"),
        ("    return total", "    total += 0\n    return total"),
        ("def double", "@cache\ndef double"),
        ("times=2", "times: int = 2"),
        ("return total", "return None"),
    ],
)
def test_any_other_edit_is_seen(tree: Path, found: str, edited: str) -> None:
    path = tree / "src/wenmo/text/split.py"
    path.write_text(CODE, "utf-8")
    before = all_of_them()
    path.write_text(CODE.replace(found, edited), "utf-8")
    assert changed(before) == {"merge"}


def test_a_library_of_another_version_makes_every_stage_stale_and_is_named(tree: Path) -> None:
    before = all_of_them()
    replace_in(tree / "pyproject.toml", "trl==", "trl==0.")
    assert changed(before) == before.keys()
    (line,) = set(all_of_them()["merge"].splitlines()) - set(before["merge"].splitlines())
    assert line.startswith("trl==0.")


def test_comments_and_extras_of_pyproject_change_nothing(tree: Path) -> None:
    before = all_of_them()
    replace_in(tree / "pyproject.toml", "# LoRA", "# Another word.")
    replace_in(tree / "pyproject.toml", "gradio==", "gradio==0.")
    assert changed(before) == set()


@pytest.mark.parametrize("text", ["dependencies = [", "", 'project = "wenmo"', None])
def test_a_pyproject_without_libraries_is_told(tree: Path, text: str | None) -> None:
    (tree / "pyproject.toml").unlink()
    if text is not None:
        (tree / "pyproject.toml").write_text(text)
    with pytest.raises(UserError, match=r"pyproject\.toml: no list project\.dependencies in it"):
        all_of_them()


@pytest.mark.parametrize(
    "file", ["src/wenmo/text/split.py", "src/wenmo/report/page.css", "pyproject.toml"]
)
def test_an_edit_while_fingerprints_are_taken_is_noticed(tree: Path, file: str) -> None:
    all_of_them()
    with (tree / file).open("a", encoding="utf-8") as source:
        source.write("\n# More.\n")
    with pytest.raises(UserError, match="edited meanwhile"):
        fingerprints.all_fingerprints(LOADABLE)


def test_a_line_names_the_module_that_changed(tree: Path) -> None:
    before = all_of_them()["merge"].splitlines()
    (tree / "src/wenmo/text/leakage.py").write_text(CODE, "utf-8")
    after = all_of_them()["merge"].splitlines()
    (line,) = set(after) - set(before)
    assert line.startswith("wenmo.text.leakage ")


def test_a_source_that_is_no_python_is_told_by_its_line(tree: Path) -> None:
    (tree / "src/wenmo/text/split.py").write_text("a = 1\nb = (\n", "utf-8")
    with pytest.raises(UserError, match=r"text/split\.py:2: "):
        all_of_them()


@pytest.mark.parametrize(
    ("file", "found", "edited", "told"),
    [
        ("src/wenmo/text/split.py", "import numpy", "more = 1\nimport numpy", "wenmo.text.split"),
        ("pyproject.toml", "dependencies = [", "dependencies = ['anew==1.0',", "anew==1.0"),
    ],
)
def test_a_stage_refuses_what_check_has_not_seen(
    tree: Path, file: str, found: str, edited: str, told: str
) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            env={"PYTHONPATH": "src"},
            capture_output=True,
            text=True,
        )

    assert run("stages/check.py").returncode == 0
    replace_in(tree / file, found, edited)
    done = run("stages/merge.py", "poetry")
    assert (done.returncode, done.stderr) == (
        1,
        f"merge: code or libraries have changed since `check`: {told};"
        " run `dvc repro merge@poetry`\n",
    )


def imported_rooms(path: Path) -> set[str]:
    names = fingerprints._imports(ast.parse(path.read_text(encoding="utf-8")).body)
    return {name.split(".")[1] for name in names if name.count(".") > 1}


def test_packages_hold_no_code() -> None:
    """Every module imports them, and no fingerprint lists them."""
    for path in (ROOT / "src").rglob("__init__.py"):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        assert all(isinstance(node, ast.Expr) for node in body), path


def test_imports_point_one_way() -> None:
    below: set[str] = set()
    for layer in LAYERS:
        rooms = set(layer.split())
        below |= rooms
        for room in rooms:
            for path in (ROOT / "src/wenmo" / room).rglob("*.py"):
                assert imported_rooms(path) <= below, path


def test_no_import_goes_round_in_a_circle() -> None:
    modules = {
        ".".join(path.relative_to(ROOT / "src").with_suffix("").parts): path
        for path in (ROOT / "src/wenmo").rglob("*.py")
    }
    imports = {
        name: [n for n in fingerprints._imports(ast.parse(path.read_bytes()).body) if n in modules]
        for name, path in modules.items()
    }
    done: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, " -> ".join([*above, name])
        if name not in done:
            for other in imports[name]:
                visit(other, (*above, name))
            done.add(name)

    for name in modules:
        visit(name, ())


@pytest.mark.parametrize("script", sorted((ROOT / "stages").glob("*.py")), ids=lambda p: p.stem)
def test_a_stage_script_is_thin(script: Path) -> None:
    assert len(script.read_text(encoding="utf-8").splitlines()) < 60
