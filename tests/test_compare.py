"""`wenmo compare`, on a small real repository of git and DVC with real experiments."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import chdir
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from tests.conftest import ROOT
from wenmo.tools.cli import app
from wenmo.tools.compare.comparison import TaskComparison, compare_revisions
from wenmo.tools.compare.html_page import pictures

ROWS, MORE_STEPS = 12, 500

# A stand-in for the whole pipeline: more steps, more poems of exact form and less loss.
STAGE = """
import json, sys
from pathlib import Path

task, steps, with_reports = sys.argv[1:]
steps, places = int(steps), range(12)
kept = {place: float(place % 4 != 3 if steps >= 500 else place % 4 == 0) for place in places}

def scores(place, form, loss):
    # Some scores do not apply to every row.
    some = {"first_line": form} if place % 2 else {}
    return {"loss_per_character": loss, "rouge_1": 0.25, "form": form} | some

tuned = {place: scores(place, kept[place], 6.0 - steps / 1000) for place in places}
before = {place: scores(place, 0.0, 7.0) for place in places}

def mean(rows):
    rows = list(rows.values())
    means = {key: sum(row[key] for row in rows) / len(rows) for key in sorted(rows[0])}
    return means | {"bleu": 0.1, "first_line": means["form"]}

def lines(path, objects):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(each, ensure_ascii=False) + "\\n" for each in objects))

def prompt(place):
    return f"写第{place}首" + ("<b>" if place == 1 else "")

def written(by):
    # Rows of a longer training come in another order.
    for place in sorted(places, reverse=steps >= 500):
        attack = "<script>alert('雪')</script>" if place == 1 else ""
        text = f"{by}第{place}首\u2028雪落无声{attack}"
        yield {"id": f"row-{place}", "prompt": prompt(place), "reference": f"原诗第{place}首",
               "text": text, "finish_reason": "stop", "tokens": 8}

lines(f"outputs/{task}/eval.base.jsonl", written("基"))
lines(f"outputs/{task}/eval.tuned.jsonl", written(f"{steps}步"))
metrics = {"base": mean(before), "tuned": mean(tuned), "delta": {"primary": 0.0}}
lines(f"metrics/evaluate/{task}.json", [metrics])
if with_reports == "true":
    lines(f"reports/{task}.jsonl", (
        {"id": f"row-{place}", "source": f"book-{place % 3}", "prompt": prompt(place),
         "base": before[place], "tuned": tuned[place]}
        for place in sorted(places, reverse=steps >= 500)
    ))
"""

PARAMS = """\
tasks:
  - novel
  - poetry
seed: 42
reports: {reports}
train:
  max_steps: 100
  learning_rate: 4e-3
  target_modules:
    - q_proj
evaluate:
  resamples: 500
novel:
  evaluate: {{}}
poetry:
  evaluate: {{}}
"""

PIPELINE = """\
stages:
  check:
    cmd: mkdir -p data/checked/code && cp evaluate.py data/checked/code/evaluate.txt
    deps:
      - evaluate.py
    outs:
      - data/checked/code/evaluate.txt
  evaluate:
    foreach: ${{tasks}}
    do:
      cmd: {python} evaluate.py ${{item}} ${{train.max_steps}} ${{reports}}
      deps:
        - data/checked/code/evaluate.txt
      params:
        - train
      outs:
        - outputs/${{item}}
{reports}      metrics:
        - metrics/evaluate/${{item}}.json:
            cache: false
"""


class Answer(NamedTuple):
    code: int
    out: str
    err: str


Ask = Callable[..., Answer]


def run(folder: Path, *command: str) -> None:
    settings = {"GIT_CONFIG_GLOBAL": os.devnull, "DVC_NO_ANALYTICS": "1"}
    for role in ("AUTHOR", "COMMITTER"):
        settings |= {f"GIT_{role}_NAME": "x", f"GIT_{role}_EMAIL": "x@example.invalid"}
    program = [sys.executable, "-m", *command] if command[0] == "dvc" else command
    done = subprocess.run(
        program, cwd=folder, env=os.environ | settings, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def new_repository(folder: Path) -> None:
    run(folder, "git", "init", "--quiet", "--initial-branch=main")
    run(folder, "dvc", "init", "--quiet")


def commit(folder: Path, tag: str) -> None:
    run(folder, "git", "add", "--all")
    run(folder, "git", "commit", "--quiet", "--message", tag)
    run(folder, "git", "tag", tag)


def write_pipeline(folder: Path, with_reports: bool) -> None:
    out = "        - reports/${item}.jsonl\n" if with_reports else ""
    (folder / "dvc.yaml").write_text(PIPELINE.format(python=sys.executable, reports=out))
    (folder / "params.yaml").write_text(PARAMS.format(reports=str(with_reports).lower()))


def edit(path: Path, old: str, new: str) -> None:
    """Another text in the place of a file, which may be a link into DVC's cache."""
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.unlink()
    path.write_text(text.replace(old, new), encoding="utf-8")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tags `before` (no reports yet), `unbuilt` (poetry alone) and main; an experiment on it."""
    folder = tmp_path_factory.mktemp("repository")
    new_repository(folder)
    (folder / ".gitignore").write_text("/data/\n/outputs/\n/reports/\n")
    (folder / "evaluate.py").write_text(STAGE)
    write_pipeline(folder, with_reports=False)
    run(folder, "dvc", "repro", "--quiet")
    commit(folder, "before")
    write_pipeline(folder, with_reports=True)
    run(folder, "dvc", "repro", "--quiet", "evaluate@poetry")
    commit(folder, "unbuilt")
    run(folder, "dvc", "repro", "--quiet")
    commit(folder, "built")
    change = f"train.max_steps={MORE_STEPS}"
    run(folder, "dvc", "exp", "run", "--quiet", "--name", "steps-500", "--set-param", change)
    run(folder, "git", "checkout", "--quiet", ".")
    run(folder, "dvc", "checkout", "--quiet")
    return folder


@pytest.fixture
def copy(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository to spoil, as the current folder."""
    folder = tmp_path / "copy"
    shutil.copytree(repository, folder, symlinks=True)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def ask(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """The command in the repository, its page in a folder of the test's own."""
    monkeypatch.chdir(repository)
    monkeypatch.setenv("COLUMNS", "160")
    return lambda *arguments: wenmo("--html", str(tmp_path / "page.html"), *arguments)


def wenmo(*arguments: str) -> Answer:
    result = CliRunner().invoke(app, ["compare", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return Answer(result.exit_code, result.stdout, result.stderr)


@pytest.fixture(scope="module")
def novel_and_poetry(repository: Path) -> list[TaskComparison]:
    """Both tasks of main and steps-500."""
    with chdir(repository):
        return compare_revisions(["main", "steps-500"], []).tasks


def table_rows(text: str) -> dict[str, list[str]]:
    """Every table's lines by their first cell."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {first: rest for first, *rest in cells}


@pytest.mark.full
def test_parameters_that_differ_are_told_with_both_values_and_no_others(ask: Ask) -> None:
    rows = table_rows(ask("main", "steps-500").out)
    assert rows["parameter"] == ["main", "steps-500"]
    assert rows["train.max_steps"] == ["100", "500"]
    assert not {key for key in rows if key.startswith(("train.l", "train.t", "seed", "evaluate"))}


def test_every_kind_of_difference_in_parameters_and_libraries_is_told(copy: Path) -> None:
    libraries = '[project]\ndependencies = ["trl=={}", "peft==0.21.2"]\n'
    (copy / "pyproject.toml").write_text(libraries.format("1.15.0"))
    commit(copy, "with-libraries")
    (copy / "pyproject.toml").write_text(libraries.format("1.16.0"))
    text = (copy / "params.yaml").read_text()
    text = text.replace("- q_proj", "- q_proj\n    - v_proj").replace(": 500\n", ": '500'\n")
    (copy / "params.yaml").write_text(text + "extra:\n  deep: true\n")
    assert compare_revisions(["main", "workspace"], []).parameters == {
        "train.target_modules": ['["q_proj"]', '["q_proj", "v_proj"]'],
        "evaluate.resamples": ["500", '"500"'],
        "extra.deep": [None, "true"],
        "pyproject.toml:trl": ["1.15.0", "1.16.0"],
    }


def test_more_steps_improve_every_score_that_they_should(
    novel_and_poetry: list[TaskComparison], repository: Path
) -> None:
    _, poetry = novel_and_poetry
    lines = {line.key: line for line in poetry.scores}
    assert next(iter(lines)) == "form"
    form = lines["form"]
    assert form.values == [0.25, 0.75]
    (gain,) = form.improvements
    assert gain and gain.value == 0.5
    assert 0 < gain.low < 0.5 < gain.high <= 1
    assert gain.p < 0.05 and gain.shown
    # Less loss is better, so the same sign.
    (loss,) = lines["loss_per_character"].improvements
    assert loss and loss.value == pytest.approx(0.4)
    assert lines["loss_per_character"].values == pytest.approx([5.9, 5.5])
    # Only the six rows that have such a score are compared.
    (first_line,) = lines["first_line"].improvements
    assert first_line and first_line.value == pytest.approx(0.5)
    # A score of all texts together has no rows.
    assert lines["bleu"].improvements == [None]
    # The other way round it is as much worse.
    with chdir(repository):
        (poetry,) = compare_revisions(["steps-500", "main"], ["poetry"]).tasks
    (loss,) = poetry.scores[0].improvements
    assert loss and loss.value == -0.5 and loss.high < 0
    assert poetry.pairs[0].outcomes == {"wins": 0, "ties": 6, "losses": 6}


def test_p_values_are_corrected_but_not_that_of_the_primary_score(
    novel_and_poetry: list[TaskComparison],
) -> None:
    novel, poetry = novel_and_poetry
    rows = {line.key: line.improvements[0] for line in poetry.scores}
    assert rows["form"] and rows["loss_per_character"] and rows["rouge_1"]
    # All twelve rows have less loss: the least p value that there is, times the others' number.
    others = sum(found is not None for found in rows.values()) - 1
    least = 2 / 501
    assert rows["loss_per_character"].p == pytest.approx(others * least)
    # Whole books are drawn for a novel: of three, no p value is below a quarter.
    novel_rows = {line.key: line.improvements[0] for line in novel.scores}
    assert novel.scores[0].key == "loss_per_character"
    assert novel_rows["loss_per_character"] and novel_rows["loss_per_character"].p == 0.25


def test_a_revision_against_its_own_commit_is_the_same(ask: Ask) -> None:
    answer = ask("main", "built")
    assert answer.code == 0
    assert "No parameter differs." in answer.out
    assert "built and main have the same scores and texts" in answer.out
    assert "base differs" not in answer.out and "other code or data" not in answer.out


def test_an_experiment_a_short_hash_and_the_workspace_are_revisions(
    copy: Path, repository: Path
) -> None:
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=repository, capture_output=True, text=True, check=True
    ).stdout[:8]
    alone = wenmo("steps-500", "--task", "poetry")
    assert alone.code == 0, alone.err
    assert table_rows(alone.out)["parameter"] == ["workspace", "steps-500"]
    by_hash = wenmo("steps-500", head, "workspace", "--task", "poetry")
    rows = table_rows(by_hash.out)
    assert rows["parameter"] == ["steps-500", head, "workspace"]
    assert rows["train.max_steps"] == ["500", "100", "100"]
    assert [rows["exact form ↑"][column] for column in (0, 1, 4)] == ["0.750", "0.250", "0.250"]
    assert "小说" not in by_hash.out
    assert (copy / "reports/compare.html").is_file()
    # The workspace is what lies there, not what git last saw.
    edit(copy / "outputs/poetry/eval.tuned.jsonl", "100步", "手改")
    assert "手改第0首" in wenmo("steps-500", "--texts", "12", "--task", "poetry").out


def test_of_experiments_of_one_name_that_on_this_branch_is_meant(copy: Path) -> None:
    baseline, before = output(copy, "rev-parse", "HEAD"), output(copy, "rev-parse", "before")
    (experiment,) = output(
        copy, "for-each-ref", "--format=%(objectname)", "refs/exps/*/*/steps-500"
    ).split()
    (copy / "note").write_text("later")
    commit(copy, "later")
    beside = output(copy, *IDENTITY, "commit-tree", "HEAD^{tree}", "-m", "Beside")
    name_experiment(copy, beside, "main")
    answer = wenmo("main", "steps-500", "--task", "poetry")
    assert answer.code == 0, answer.err
    assert table_rows(answer.out)["train.max_steps"] == ["100", "500"]
    name_experiment(copy, before, "built")
    answer = wenmo("main", "steps-500", "--task", "poetry")
    built = output(copy, "rev-parse", "built")
    assert answer.code == 1 and answer.err.count("\n") == 1
    assert answer.err.startswith("compare: steps-500: 3 experiments have this name: ")
    for one, on in ((experiment, baseline), (built, before)):
        assert f"{one[:7]} on {on[:7]}" in answer.err
    assert answer.err.endswith("; name one by its hash\n")


IDENTITY = ("-c", "user.name=x", "-c", "user.email=x@example.invalid")


def output(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def name_experiment(folder: Path, baseline: str, revision: str) -> None:
    """As DVC names one that was run on this baseline."""
    name = f"refs/exps/{baseline[:2]}/{baseline[2:]}/steps-500"
    run(folder, "git", "update-ref", name, revision)


def test_a_stage_that_has_not_run_since_another_did_is_told(copy: Path) -> None:
    (copy / "evaluate.py").write_text(STAGE + "\n")
    run(copy, "dvc", "repro", "--quiet", "check")
    assert (
        "workspace: evaluate@poetry has not run since check did, so it read another"
        " data/checked/code/evaluate.txt; `dvc repro evaluate@poetry` brings it up to date"
    ) in wenmo("main", "workspace", "--task", "poetry").out


def test_a_file_of_a_folder_that_another_stage_made_anew_is_told(copy: Path) -> None:
    lock = copy / "dvc.lock"
    content = YAML(typ="safe").load(lock.read_text())
    stages, text = content["stages"], "outputs/poetry/eval.tuned.jsonl"
    (out,) = (out for out in stages["evaluate@poetry"]["outs"] if out["path"] == "outputs/poetry")
    stages["generate@poetry"] = {"cmd": "generate", "outs": [out]}
    of_file = hashlib.md5((copy / text).read_bytes(), usedforsecurity=False).hexdigest()
    for md5 in (of_file, "0" * 32):
        stages["evaluate@poetry"]["deps"] = [{"path": text, "hash": "md5", "md5": md5}]
        lock.write_text(json.dumps(content))
        told = f"evaluate@poetry has not run since generate@poetry did, so it read another {text}"
        assert (told in wenmo("main", "workspace", "--task", "poetry").out) is (md5 != of_file)


@pytest.mark.full
def test_the_readmes_experiments_are_the_same_and_run_from_top_to_bottom(copy: Path) -> None:
    blocks = []
    for readme in ("README.md", "README.zh-CN.md"):
        text = (ROOT / readme).read_text(encoding="utf-8")
        (block,) = re.findall(r"```sh\n(dvc exp run --name steps-500.*?)```", text, re.S)
        blocks.append([line.partition("  #")[0].rstrip() for line in block.splitlines()])
    assert blocks[0] == blocks[1]
    for command in ("wenmo show", "wenmo compare main steps-500", "dvc exp apply steps-500"):
        assert f"\n{command} " in block
    run(copy, "dvc", "exp", "remove", "--quiet", "steps-500")
    before = (copy / "outputs/novel/eval.tuned.jsonl").read_text(encoding="utf-8")
    run(copy, "bash", "-e", "-c", block)
    assert output(copy, "status", "--porcelain", "--untracked-files=no") == ""
    assert (copy / "outputs/novel/eval.tuned.jsonl").read_text(encoding="utf-8") == before


def test_the_page_is_written_at_the_root_from_any_folder(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copy / "reports/deep"
    folder.mkdir()
    monkeypatch.chdir(folder)
    answer = wenmo("main", "steps-500", "--task", "poetry")
    assert answer.code == 0, answer.err
    assert (copy / "reports/compare.html").is_file() and not any(folder.iterdir())
    assert answer.out.endswith("All prompts' texts: ../compare.html\n")


def test_texts_stand_side_by_side_by_their_rows(novel_and_poetry: list[TaskComparison]) -> None:
    """The experiment's files are in another order than main's."""
    _, poetry = novel_and_poetry
    assert len(poetry.texts) == ROWS
    for place, row in enumerate(poetry.texts):
        assert row.prompt.startswith(f"写第{place}首")
        assert row.reference == f"原诗第{place}首"
        starts = [texts[0].text for texts in (row.base, *row.tuned)]
        for text, by in zip(starts, ("基", "100步", "500步"), strict=True):
            assert text.startswith(f"{by}第{place}首\u2028雪落无声")


def test_the_terminal_shows_as_many_prompts_as_asked_and_no_control_characters(copy: Path) -> None:
    edit(copy / "outputs/poetry/eval.tuned.jsonl", "100步第0", "\\u001b]0;title\\u0007步第0")
    out = wenmo("workspace", "steps-500", "--task", "poetry", "--texts", "2").out
    assert out.count("### ") == 2
    assert "500步第1首" in out and "500步第2首" not in out
    assert "\x1b" not in out and "\x07" not in out
    assert "\\u001b]0;" in out


def test_what_is_the_same_is_told_in_a_line(copy: Path) -> None:
    out = wenmo("main", "workspace", "--task", "poetry", "--texts", "2").out
    assert "- workspace and main have the same scores and texts" in out
    assert "###" not in out and "0.000" not in out


def test_only_rows_of_both_are_compared(copy: Path) -> None:
    for path in ("reports/poetry.jsonl", "outputs/poetry/eval.tuned.jsonl"):
        edit(copy / path, '"row-1', '"another-1')
    out = wenmo("main", "workspace", "--task", "poetry", "--texts", "12").out
    assert "main has 12 held-out rows and workspace 12; the 9 of both are compared" in out
    assert "over 9 held-out rows" in out and "the same on every row as main" in out
    assert out.count("### ") == 9
    assert "写第1首" not in out and "写第2首" in out


def test_a_score_is_compared_where_both_have_it(copy: Path) -> None:
    path = copy / "reports/poetry.jsonl"
    line = next(line for line in path.read_text().splitlines() if '"row-5"' in line)
    edit(path, line, line.replace("first_line", "another"))
    edit(copy / "outputs/poetry/eval.tuned.jsonl", "100步第0", "百步第0")
    for names in (("main", "workspace"), ("workspace", "main")):
        rows = table_rows(wenmo(*names, "--task", "poetry").out)
        label = next(label for label in rows if label.startswith("first"))
        assert rows[label][2] == "0.000 (0.000 to 0.000)"


@pytest.mark.parametrize(("shared", "told"), [(0, "none"), (1, "only one")])
def test_without_common_rows_there_is_no_interval(copy: Path, shared: int, told: str) -> None:
    edit(copy / "reports/poetry.jsonl", '"row-', '"another-')
    if shared:
        edit(copy / "reports/poetry.jsonl", '"another-4"', '"row-4"')
    out = wenmo("main", "workspace", "--task", "poetry").out
    assert "between workspace and main no difference can be told" in out
    assert f"with {told} in common" in out
    assert table_rows(out)["exact form ↑"] == ["0.250", "0.250", "", ""]
    assert out.count("### ") == shared
    assert "<figure" not in (copy / "reports/compare.html").read_text(encoding="utf-8")


def test_another_base_and_other_prompts_are_told(copy: Path) -> None:
    edit(copy / "reports/poetry.jsonl", "7.0", "7.5")
    out = wenmo("main", "workspace", "--task", "poetry").out
    assert "base differs too" in out and "another prompt in" not in out
    assert "held-out loss per character (nats) 7.000 and 7.500" in out
    edit(copy / "reports/poetry.jsonl", "7.5", "7.0")
    edit(copy / "reports/poetry.jsonl", "写第1", "请写第1")
    out = wenmo("main", "workspace", "--task", "poetry").out
    assert "base differs" not in out
    assert "3 of these rows were asked for by another prompt in workspace" in out
    assert "asked: 请写第11首" in (copy / "reports/compare.html").read_text(encoding="utf-8")


def test_a_change_that_was_not_built_is_told(copy: Path) -> None:
    path = copy / "params.yaml"
    path.write_text(path.read_text().replace("max_steps: 100", "max_steps: 900"))
    (copy / "evaluate.py").write_text(STAGE + "\n")
    out = wenmo("main", "workspace", "--task", "poetry").out
    assert table_rows(out)["train.max_steps"] == ["100", "900"]
    assert "workspace: built before train.max_steps changed in params.yaml" in out
    run(copy, "dvc", "repro", "--quiet")
    out = wenmo("main", "workspace", "--task", "poetry").out
    assert "built before" not in out
    assert (
        "main and workspace were built from other code or data: data/checked/code/evaluate.txt"
    ) in out


class Outline(HTMLParser):
    """What a browser would run or load."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [str(value) for name, value in attrs if name in ("src", "href")]


def test_the_page_holds_everything_and_loads_nothing(ask: Ask, tmp_path: Path) -> None:
    assert ask("main", "steps-500", "--texts", "0").code == 0
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    outline = Outline()
    outline.feed(page)
    assert not {"b", "iframe"} & set(outline.tags)
    # Its own script, which changes the language.
    assert outline.tags.count("script") == 1
    assert set(outline.loads) == {"data:,", "#novel", "#poetry"}
    assert "default-src &#39;none&#39;; style-src &#39;sha256-" in page
    # Base and two revisions in two tasks.
    assert page.count("&lt;script&gt;") == 6
    assert outline.tags.count("article") == 2 * ROWS
    assert page.count("500步第") == 2 * ROWS
    assert "steps-500 is better than main: exact form ↑ 0.750 instead of 0.250, +0.500" in page
    assert "<td>100</td><td>500</td>" in page
    assert "&#34;" not in page.split("<style>")[1].split("</style>")[0]
    assert '<span data-zh="steps-500 比 main 好：格式完全正确 ↑' in page
    again = tmp_path / "again.html"
    ask("main", "steps-500", "--texts", "0", "--html", str(again))
    assert again.read_bytes() == (tmp_path / "page.html").read_bytes()


def test_pictures_put_dots_and_intervals_where_their_numbers_are(
    novel_and_poetry: list[TaskComparison],
) -> None:
    novel, poetry = novel_and_poetry
    assert next(pictures(novel)).unit.english.startswith("held-out loss")
    shares, loss = pictures(poetry)
    assert shares.unit.english == "scores from 0 to 1"
    assert loss.unit.english.startswith("held-out loss")
    marks = {mark.label.english: mark for mark in shares.marks}
    form = marks["exact form ↑"]
    assert form.kind == "better" and marks["ROUGE-1 ↑"].kind == "unsure"
    assert shares.zero < form.low < form.dot < form.high
    # On one axis the same difference is the same way.
    labelled = {label: place for place, label in shares.ticks}
    assert labelled["0.0"] == shares.zero == marks["ROUGE-1 ↑"].dot
    assert all(0 <= place <= 100 for place in labelled.values())
    assert form.dot == pytest.approx(
        shares.zero + form.improvement.value * (labelled["0.4"] - shares.zero) / 0.4, abs=0.05
    )


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["nowhere"], 1, "nowhere: unknown Git revision 'nowhere'; `dvc exp list"),
        (["main", "HEAD^{tree}"], 1, "HEAD^{tree}: it names no commit"),
        (["main", "before"], 1, "before: reports/novel.jsonl: its dvc.yaml does not make this"),
        (
            ["unbuilt"],
            1,
            "unbuilt: reports/novel.jsonl: not built; `dvc exp apply unbuilt` (of a commit: `git"
            " switch --detach unbuilt`) and `dvc repro evaluate@novel` builds it",
        ),
        (["main", "main"], 2, "main would stand beside itself"),
        (["workspace"], 2, "workspace would stand beside itself"),
        (["main", "--task", "drama"], 2, "'drama' is no task; allowed are novel,"),
    ],
)
def test_what_cannot_be_compared_is_told_in_one_line(
    ask: Ask, tmp_path: Path, arguments: list[str], code: int, told: str
) -> None:
    answer = ask(*arguments)
    assert (answer.code, answer.out) == (code, "")
    assert answer.err.startswith(f"compare: {told}")
    assert answer.err.count("\n") == 1
    assert not (tmp_path / "page.html").exists()


def test_tasks_are_those_that_every_revision_has(copy: Path) -> None:
    # The revision `unbuilt` has nothing of the other task.
    assert wenmo("main", "unbuilt", "--task", "poetry").code == 0
    edit(copy / "params.yaml", "  - novel\n", "")
    out = wenmo("main", "workspace").out
    assert "古诗" in out and "小说" not in out
    answer = wenmo("main", "workspace", "--task", "novel")
    assert answer.code == 1
    assert answer.err == "compare: workspace: params.yaml: tasks: poetry; no novel\n"


@pytest.mark.parametrize("revision", ["steps-500", "main"])
def test_what_neither_cache_nor_remote_holds_is_told(copy: Path, revision: str) -> None:
    shutil.rmtree(copy / ".dvc/cache")
    answer = wenmo("workspace", revision)
    assert answer.code == 1
    assert answer.err.startswith(
        f"compare: {revision}: reports/novel.jsonl: neither in the cache nor in the remote"
    )
    assert answer.err.count("\n") == 1


def test_an_output_folder_that_is_not_to_be_had_is_told(copy: Path) -> None:
    """Without its listing DVC does not know what files the folder has."""
    for listing in (copy / ".dvc/cache").glob("**/*.dir"):
        listing.unlink()
    answer = wenmo("workspace", "main", "--task", "poetry")
    assert answer.code == 1
    assert answer.err.startswith(
        "compare: main: outputs/poetry/eval.tuned.jsonl: neither in the cache nor in the remote"
    )


def test_what_only_a_remote_holds_is_read_from_it(copy: Path, tmp_path: Path) -> None:
    run(copy, "dvc", "remote", "add", "--default", "--local", "store", str(tmp_path / "store"))
    run(copy, "dvc", "push", "--quiet")
    shutil.rmtree(copy / ".dvc/cache")
    shutil.rmtree(copy / "reports")
    assert wenmo("main", "workspace", "--task", "poetry").code == 0


@pytest.mark.parametrize(
    ("path", "content", "told"),
    [
        ("reports/poetry.jsonl", "雪\n", "reports/poetry.jsonl:1: not JSON"),
        ("reports/poetry.jsonl", '{"id": "row-1"}\n', "reports/poetry.jsonl:1: expected the keys"),
        ("metrics/evaluate/poetry.json", "[]", "metrics/evaluate/poetry.json: no scores"),
        ("params.yaml", "tasks: [", "params.yaml:2: "),
        ("params.yaml", "seed: 1\n", "params.yaml: no list of tasks"),
    ],
)
def test_a_spoilt_file_is_named(copy: Path, path: str, content: str, told: str) -> None:
    (copy / path).unlink()
    (copy / path).write_text(content, encoding="utf-8")
    answer = wenmo("steps-500", "--task", "poetry")
    assert answer.code == 1
    assert answer.err.startswith(f"compare: workspace: {told}")
    assert answer.err.count("\n") == 1


def test_without_a_repository_or_commits_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    outside = wenmo("main")
    new_repository(tmp_path)
    for answer in (outside, wenmo("main", "HEAD")):
        assert answer.code == 1
        assert answer.err.startswith("compare: ") and answer.err.count("\n") == 1


def test_a_page_that_cannot_be_written_is_told(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    answer = ask("main", "built", "--html", str(tmp_path / "file/page.html"))
    assert answer.code == 1
    assert "--html names another file" in answer.err and answer.err.count("\n") == 1
