"""Each stage runs where there is only what dvc.yaml says that it reads, and makes the same bytes.

What a stage reads without having declared it is missing there, so it fails. What it has declared
and does not read is found by listening to it. All else is unlike the place where dvc.lock was made:
folder, number of threads, hash seed, locale, time zone and home.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dvc.repo import Repo

from tests.conftest import ROOT
from wenmo.config import params_file
from wenmo.tools.dvc_lock import md5, read_lock

pytestmark = pytest.mark.full

STAGES = {stage.addressing: stage for stage in Repo(str(ROOT)).index.stages}
LOCK = read_lock(ROOT / "dvc.lock")
OUTPUTS = [path for stage in LOCK.values() for path in stage.outputs]
CODE = Path("data/checked/code")

ELSEWHERE = {
    "OMP_NUM_THREADS": "2",
    "MKL_NUM_THREADS": "2",
    "PYTHONHASHSEED": "20261121",
    "LC_ALL": "C",
    "TZ": "Asia/Kathmandu",
}

BY_OTHER_SETTINGS = {
    "summarize": {"endpoints": "summarize.provider"},
    "generate": {
        "models/adapters": "generate.weights: adapter",
        "models/base": "generate.weights: adapter",
    },
    "evaluate": {"endpoints": "evaluate.judge.endpoint"},
    "overview": {"plots/scores": "never: by it the stage waits for the pages that it names"},
}
"""What a stage reads only if a parameter says so: DVC can't declare a thing for some cases."""


def declared_files(name: str) -> list[str]:
    return [str(Path(dep.fs_path).relative_to(ROOT)) for dep in files_of(name)]


def files_of(name: str) -> Iterator[Any]:
    stage = STAGES[name]
    return (dep for dep in stage.deps if dep not in stage.params)


def declared_params(name: str) -> list[str]:
    """The dotted keys of params.yaml that a stage declares."""
    (declared,) = [dep for dep in STAGES[name].params if dep.def_path == "params.yaml"] or [None]
    return list(declared.params) if declared else []


def write_params(path: Path, keys: list[str]) -> None:
    """params.yaml with nothing but these keys. JSON is YAML."""
    content = params_file.read(ROOT / "params.yaml")
    left: dict[str, Any] = {}
    for key in keys:
        *above, last = key.split(".")
        source, target = content, left
        for section in above:
            source, target = source[section], target.setdefault(section, {})
        target[last] = source[last]
    path.write_text(json.dumps(left, ensure_ascii=False), encoding="utf-8")


def copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy2(source, target)


def sources(fingerprint: Path) -> Iterator[str]:
    """The files that a fingerprint lists: scripts, modules of wenmo, and data beside them.

    Its first lines are libraries, as pyproject.toml pins them.
    """
    yield "pyproject.toml"
    for line in fingerprint.read_text(encoding="utf-8").splitlines():
        name, _, digest = line.partition(" ")
        if "/" in name:
            yield f"src/{name}"
        elif digest:
            path = Path(*name.split(".")).with_suffix(".py")
            yield str(path if name.startswith("stages.") else "src" / path)


def is_made(path: str) -> bool:
    """Whether a path is or lies in an output, or is a folder of outputs."""
    made = map(Path, OUTPUTS)
    return any(Path(path).is_relative_to(each) or each.is_relative_to(path) for each in made)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the outputs of the stages before are: the tests run in the pipeline's order."""
    return tmp_path_factory.mktemp("made")


@pytest.fixture
def isolated(request: pytest.FixtureRequest, made: Path, tmp_path: Path) -> Path:
    """A folder with what the stage of this name declares."""
    name: str = request.param
    folder = tmp_path / f"書房 {name}"
    for path in declared_files(name):
        copy((made if is_made(path) else ROOT) / path, folder / path)
        if Path(path).is_relative_to(CODE):
            for source in sources(folder / path):
                copy(ROOT / source, folder / source)
    # Packages are empty, so no fingerprint lists them. Python would look for others elsewhere.
    for package in (ROOT / "src").rglob("__init__.py"):
        copy(package, folder / package.relative_to(ROOT))
    copy(ROOT / "tests/noting.py", folder / "src/sitecustomize.py")
    if keys := declared_params(name):
        write_params(folder / "params.yaml", keys)
    return folder


def run(name: str, folder: Path, notes: Path) -> subprocess.CompletedProcess[str]:
    home = folder.parent / "home"
    home.mkdir()
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(home),
        "NOTES": str(notes),
    }
    return subprocess.run(
        STAGES[name].cmd,
        shell=True,
        cwd=folder,
        env=environment | ELSEWHERE,
        capture_output=True,
        text=True,
    )


def noted(notes: Path, kind: str) -> set[str]:
    lines = notes.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    return {line.partition(" ")[2] for line in lines if line.startswith(f"{kind} ")}


def looked_up(notes: Path) -> set[str]:
    """Keys and sections, without the sections in which others were looked up."""
    found = noted(notes, "param")
    return {key for key in found if not any(other.startswith(f"{key}.") for other in found)}


def superfluous(name: str, folder: Path, notes: Path) -> set[str]:
    """Declared files, folders and parameters that the stage has not read."""
    opened = {Path(path) for path in noted(notes, "file")}
    files = {
        path
        for path in declared_files(name)
        if not any(each.is_relative_to(folder / path) for each in opened)
    }
    keys = {
        key
        for key in declared_params(name)
        if not any(f"{key}.".startswith(f"{found}.") for found in looked_up(notes))
    }
    stage, _, task = name.partition("@")
    others = [place.replace("TASK", task) for place in BY_OTHER_SETTINGS.get(stage, ())]
    return {place for place in files | keys if not place.startswith(tuple(others))}


def from_elsewhere(folder: Path, notes: Path) -> set[str]:
    """Files outside the folder that are neither Python's nor the system's.

    Python reads the names of the packages that it has installed, this one's too.
    """
    installed = ROOT / "src/wenmo.egg-info"
    system = ["/usr", "/etc", "/proc", "/sys", "/dev"]
    allowed = [folder, installed, sys.prefix, sys.base_prefix, *system]
    return {
        path
        for path in noted(notes, "file")
        if Path(path).is_file() and not any(Path(path).is_relative_to(each) for each in allowed)
    }


@pytest.mark.parametrize(("name", "isolated"), [(n, n) for n in STAGES], indirect=["isolated"])
def test_a_stage_reads_what_it_declares_and_makes_the_committed_bytes(
    name: str, isolated: Path, made: Path, tmp_path: Path
) -> None:
    notes = tmp_path / "notes"
    done = run(name, isolated, notes)
    assert done.returncode == 0, f"{name} needs what it has not declared: {done.stderr[-3000:]}"
    outputs = LOCK[name].outputs
    assert {path: md5(isolated / path) for path in outputs} == outputs
    assert from_elsewhere(isolated, notes) == set(), f"{name} reads what it has not declared"
    assert superfluous(name, isolated, notes) == set(), f"{name} declares what it does not read"
    for path in outputs:
        copy(isolated / path, made / path)
