"""dvc.yaml declares exactly the code that each stage imports, so that `up to date` is true."""

import ast
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest
from dvc.repo import Repo

from tests.conftest import ROOT
from wenmo.config.generate import GenerateParams
from wenmo.config.params_file import TASKS

ENGINES = get_args(GenerateParams.model_fields["engine"].annotation)


def imported_modules(path: Path) -> set[str]:
    """Every module of this repository that a file names in an import, at any level."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.split(".")[0] == "wenmo"}


@cache
def closure(path: Path) -> frozenset[Path]:
    """The files of this repository that importing a file brings in, itself included."""
    found, waiting = set(), [path]
    while waiting:
        current = waiting.pop()
        if current in found:
            continue
        found.add(current)
        for name in imported_modules(current):
            module = ROOT / "src" / Path(*name.split(".")).with_suffix(".py")
            if module.is_file():
                waiting.append(module)
    return frozenset(found)


def loaded_by_name(stage: str, params: dict[str, Any]) -> set[Path]:
    """What a stage loads by a name in params.yaml or in its arguments."""
    name, _, task = stage.partition("@")
    source = ROOT / "src/wenmo"
    match name:
        case "check_params":
            return {source / f"tasks/{task}.py" for task in TASKS}
        case "check_raw" | "prepare":
            # A loop of DVC cannot name a file for one task alone, so what one task needs of
            # wenmo.text is declared for all; other tasks' own modules are not.
            texts = {path for other in TASKS for path in closure(source / f"tasks/{other}.py")}
            return {source / f"tasks/{task}.py"} | {p for p in texts if p.parent.name == "text"}
        case "generate":
            # Likewise, what an engine needs is declared for all of them, but no other engine.
            engines = {source / f"engines/{engine}.py" for engine in ENGINES}
            needs = {path for engine in engines for path in closure(engine)} - engines
            return needs | {source / f"engines/{params['generate']['engine']}.py"}
        case "evaluate":
            return set((source / "report").glob("page.*"))
    return set()


REPO = Repo(str(ROOT))
STAGES = {stage.addressing: stage for stage in REPO.index.stages}
PARAMS = REPO.params.show()[""]["data"]["params.yaml"]["data"]


@pytest.mark.parametrize("name", STAGES)
def test_declared_code_is_imported_code(name: str) -> None:
    stage = STAGES[name]
    declared = {
        Path(dep.fs_path)
        for dep in stage.deps
        if Path(dep.fs_path).is_relative_to(ROOT / "src")
        or Path(dep.fs_path).is_relative_to(ROOT / "stages")
    }
    script = ROOT / "stages" / f"{name.split('@')[0]}.py"
    needed = set(closure(script))
    for path in loaded_by_name(name, PARAMS):
        needed |= closure(path) if path.suffix == ".py" else {path}
    assert {str(path.relative_to(ROOT)) for path in declared} == {
        str(path.relative_to(ROOT)) for path in needed
    }


def test_packages_hold_no_code() -> None:
    """They are imported by everything and declared by no stage."""
    for path in (ROOT / "src").rglob("__init__.py"):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        assert all(isinstance(node, ast.Expr) for node in body), path


def test_imports_point_one_way() -> None:
    ground = {"disk", "errors", "params", "processes", "records", "stage", "text"}
    for path in (ROOT / "src/wenmo").rglob("*.py"):
        layer = path.relative_to(ROOT / "src/wenmo").parts[0].removesuffix(".py")
        if layer in ground:
            used = {name.split(".")[1] for name in imported_modules(path) if "." in name}
            assert used <= ground, f"{path} imports {used - ground}"


@pytest.mark.parametrize("script", sorted((ROOT / "stages").glob("*.py")), ids=lambda p: p.stem)
def test_a_stage_script_is_thin(script: Path) -> None:
    assert len(script.read_text(encoding="utf-8").splitlines()) < 60
