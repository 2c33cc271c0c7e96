"""`wenmo show`, on a small real repository of git and DVC with real experiments."""

import shutil
import sys
from pathlib import Path

import pytest
from dvc.repo.experiments import Experiments
from rich.cells import cell_len
from typer.testing import CliRunner

from tests.test_compare import new_repository, run
from wenmo.tools.cli import app

STAGE = """
import json, sys
from pathlib import Path

for task in ("novel", "poetry"):
    steps, seed = map(int, sys.argv[1:])
    rows = Path(f"data/merged/{task}/eval.jsonl")
    scores = Path(f"metrics/{task}.json")
    for path in (rows, scores):
        path.parent.mkdir(parents=True, exist_ok=True)
    if sys.argv[0] == "merge.py":
        rows.write_text(f"held out by seed {seed}")
    else:
        gain = steps / 1000
        of = lambda value: {"form": value, "loss_per_character": 5 - value}
        delta = {"primary": gain, "ci_low": gain - 0.1, "ci_high": gain + 0.1}
        scores.write_text(json.dumps({"base": of(0), "tuned": of(gain), "delta": delta}))
"""
PIPELINE = """\
stages:
  merge:
    cmd: {python} merge.py 0 ${{seed}}
    params: [seed]
    outs: [data/merged]
  evaluate:
    cmd: {python} evaluate.py ${{train.max_steps}} ${{seed}}
    params: [train]
    deps: [data/merged/novel/eval.jsonl, data/merged/poetry/eval.jsonl]
    metrics:
      - metrics/novel.json:
          cache: false
      - metrics/poetry.json:
          cache: false
"""
PARAMS = "tasks:\n  - novel\n  - poetry\nseed: 1\ntrain:\n  max_steps: 100\n"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A commit and two experiments on it; the other seed holds out other rows."""
    folder = tmp_path_factory.mktemp("repository")
    new_repository(folder)
    (folder / ".gitignore").write_text("/data/\n")
    for name in ("merge.py", "evaluate.py"):
        (folder / name).write_text(STAGE)
    (folder / "dvc.yaml").write_text(PIPELINE.format(python=sys.executable))
    (folder / "params.yaml").write_text(PARAMS)
    run(folder, "dvc", "repro", "--quiet")
    run(folder, "git", "add", "--all")
    run(folder, "git", "commit", "--quiet", "--message", "built")
    for name, change in (("longer", "train.max_steps=500"), ("other-rows", "seed=2")):
        run(folder, "dvc", "exp", "run", "--quiet", "--name", name, "--set-param", change)
        run(folder, "git", "checkout", "--quiet", ".")
    return folder


def show(
    repository: Path, monkeypatch: pytest.MonkeyPatch, columns: int = 80, *options: str
) -> list[str]:
    monkeypatch.chdir(repository)
    monkeypatch.setenv("COLUMNS", str(columns))
    result = CliRunner().invoke(app, ["show", *options])
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()


def test_experiments_stand_with_what_differs_and_their_gain(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [" ".join(line.split()) for line in show(repository, monkeypatch)]
    assert "main novel 4.900 0.100 (0.000 to 0.200)" in lines
    assert "longer train.max_steps=500 novel 4.500 0.500 (0.400 to 0.600)" in lines
    assert "poetry 0.500 0.500 (0.400 to 0.600)" in lines
    assert not any("seed=1" in line or line.startswith("workspace") for line in lines)


def test_scores_on_other_held_out_rows_are_marked(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = show(repository, monkeypatch)
    marked = [line.split() for line in lines if "y*" in line or "l*" in line]
    assert [each[:3] for each in marked] == [
        ["other-rows", "seed=2", "novel*"],
        ["poetry*", "0.100", "0.100"],
    ]
    assert any(line.startswith("* ") and "main" in line for line in lines)


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_the_table_keeps_to_the_terminals_width(
    repository: Path, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    lines = show(repository, monkeypatch, columns)
    assert max(map(cell_len, lines)) <= columns
    assert sum(line.rstrip().endswith(")") for line in lines) >= 6


def test_what_is_changed_and_not_built_yet_is_the_workspace(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = repository / "params.yaml"
    params.write_text(PARAMS.replace("seed: 1", "seed: 3"))
    lines = show(repository, monkeypatch)
    params.write_text(PARAMS)
    assert any(line.split()[:2] == ["workspace", "seed=3"] for line in lines)


def test_experiments_of_an_earlier_commit_are_shown_after_it(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = tmp_path / "later"
    shutil.copytree(repository, later)
    for message in ("later", "latest"):
        run(later, "git", "commit", "--quiet", "--allow-empty", "--message", message)
    assert not any("longer" in line for line in show(later, monkeypatch))
    read = list[str | None]()
    collect = Experiments.show

    def noted(experiments: Experiments, **options: str) -> object:
        read.append(options.get("revs"))
        return collect(experiments, **options)

    monkeypatch.setattr(Experiments, "show", noted)
    lines = show(later, monkeypatch, 80, "--all-commits")
    head = (later / ".git/refs/heads/main").read_text().strip()
    earlier = (repository / ".git/refs/heads/main").read_text().strip()
    names = [line.split()[0] for line in lines if line and line[0] != " "]
    assert head != earlier
    assert names[1:3] == ["main", earlier[:7]]
    assert "longer" in names[3:]
    # Most commits of a project have no experiment; they are not read.
    assert read == [None, earlier]


def test_outside_a_repository_it_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["show"])
    assert result.exit_code == 1
    assert result.stderr.startswith("show: ") and len(result.stderr.splitlines()) == 1
