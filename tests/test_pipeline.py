"""The whole pipeline in a clone, as a newcomer runs it and as an experimenter changes it."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.conftest import dvc, edit_a_poem, git
from wenmo.config.params_file import TASKS


def stages_run(run: subprocess.CompletedProcess[str]) -> list[str]:
    return re.findall(r"Running stage '(.+)'", run.stdout)


def tracked_state(folder: Path) -> str:
    return git(folder, "status", "--porcelain")


def output_files(folder: Path) -> list[Path]:
    tops = ("data/prepared", "data/merged", "metrics", "models", "outputs", "plots", "reports")
    return [path for top in tops for path in (folder / top).rglob("*") if path.is_file()]


def outputs_state(folder: Path) -> dict[Path, float]:
    """Every file of the pipeline's outputs with its time of change."""
    return {path: path.stat().st_mtime for path in output_files(folder)}


def outputs_content(folder: Path) -> dict[Path, bytes]:
    """Every file of the pipeline's outputs with its bytes."""
    return {path: path.read_bytes() for path in output_files(folder)}


def test_killed_in_a_training_everything_still_comes_out_with_the_committed_bytes(
    built: Path,
) -> None:
    log = json.loads((built / "logs/train/poetry.json").read_text())
    # Only a training that starts afresh measures the start.
    assert log["arguments"]["eval_on_start"] is False
    assert git(built, "diff") == ""
    assert tracked_state(built) == ""


def test_a_second_repro_runs_nothing(built: Path) -> None:
    run = dvc(built, "repro")
    assert stages_run(run) == []
    assert "up to date" in run.stdout


@pytest.mark.parametrize("task", TASKS)
def test_tuned_beats_base_beyond_chance(built: Path, task: str) -> None:
    metrics = json.loads((built / f"metrics/{task}.json").read_text())
    assert metrics["delta"]["ci_low"] > 0
    assert metrics["delta"]["p_value"] < 0.05


@pytest.mark.parametrize("task", TASKS)
def test_a_submission_answers_each_prompt_once_and_in_order(built: Path, task: str) -> None:
    prompts = built / f"data/sample/{task}/test.jsonl"
    if not prompts.is_file():
        prompts = built / f"data/merged/{task}/eval.jsonl"
    asked = [json.loads(line) for line in prompts.read_text("utf-8").splitlines()]
    lines = (built / f"outputs/{task}/submit.json").read_text("utf-8").splitlines()
    answers = [json.loads(line) for line in lines]
    assert all(list(answer) == ["instruction", "input", "output"] for answer in answers)
    assert [(a["instruction"], a["input"]) for a in answers] == [
        (a["instruction"], a["input"]) for a in asked
    ]
    assert all(answer["output"].strip() for answer in answers)


def test_base_and_tuned_answer_the_same_held_out_prompts(built: Path) -> None:
    for task in TASKS:
        rows, base, tuned = (
            [json.loads(line) for line in (built / path).read_text("utf-8").splitlines()]
            for path in (
                f"data/merged/{task}/eval.jsonl",
                f"outputs/{task}/eval.base.jsonl",
                f"outputs/{task}/eval.tuned.jsonl",
            )
        )
        assert [row["id"] for row in rows] == [g["id"] for g in base] == [g["id"] for g in tuned]


def test_a_wrong_parameter_of_an_experiment_touches_no_output(restored: Path) -> None:
    before = outputs_state(restored)
    run = dvc(restored, "exp", "run", "--set-param", "train.max_steps=abc")
    assert run.returncode != 0
    said = [line for line in (run.stdout + run.stderr).splitlines() if "params.yaml: " in line]
    assert len(said) == 1
    assert "params.yaml: train.max_steps: 'abc': " in said[0]
    assert outputs_state(restored) == before


def test_an_experiment_with_a_wrong_task_loses_nothing(restored: Path) -> None:
    """DVC takes what the experiment's pipeline does not make out of the folder, not the cache."""
    before = outputs_content(restored)
    run = dvc(restored, "exp", "run", "--set-param", "tasks=[poetri]")
    assert run.returncode != 0
    git(restored, "checkout", "--quiet", ".")
    assert dvc(restored, "checkout").returncode == 0
    assert outputs_content(restored) == before


@pytest.mark.parametrize(
    ("file", "found", "edited", "complaint"),
    [
        ("params.yaml", "  lora:", "  warmup_stpes: 5\n  lora:", "train.warmup_stpes: unknown key"),
        (
            "params.yaml",
            ": data/sample",
            ": data/raw",
            r"data/raw/\w+: no raw texts; expected \*\.",
        ),
        (
            "data/sample/novel/train.jsonl",
            "\n",
            '\n{"name": "书"}\n',
            "data/sample/novel/train.jsonl:2: key 'text' is missing",
        ),
    ],
    ids=["an unknown key", "an empty folder", "a malformed row"],
)
def test_what_is_wrong_touches_no_output(
    restored: Path, file: str, found: str, edited: str, complaint: str
) -> None:
    before = outputs_state(restored)
    for task in TASKS:
        (restored / "data/raw" / task).mkdir(parents=True, exist_ok=True)
    path = restored / file
    path.write_text(path.read_text("utf-8").replace(found, edited, 1), "utf-8")
    run = dvc(restored, "repro")
    assert run.returncode != 0
    assert re.search(complaint, run.stdout + run.stderr)
    assert outputs_state(restored) == before


@pytest.mark.full
def test_more_training_steps_of_one_task_rerun_its_training_and_what_follows(
    restored: Path,
) -> None:
    before = outputs_content(restored)
    run = dvc(restored, "exp", "run", "-S", "train.max_steps=4", "-S", "tasks=[poetry]")
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    assert stages_run(run) == [
        "check",
        "train@poetry",
        "merge_weights@poetry",
        "generate@poetry",
        "evaluate@poetry",
        "report@poetry",
        "overview",
    ]
    assert "poems read" in run.stdout and "books read" not in run.stdout
    shown = dvc(restored, "exp", "show", "--json").stdout
    assert "tuned" in shown
    # What the experiment left out and what it made anew come back.
    git(restored, "checkout", "--quiet", ".")
    assert dvc(restored, "checkout").returncode == 0
    assert outputs_content(restored) == before


def test_an_edited_poem_makes_what_reads_poems_stale_alone(restored: Path) -> None:
    """What follows a stale stage runs too if its inputs change, which is DVC's affair."""
    edit_a_poem(restored)
    run = dvc(restored, "repro", "merge@poetry")
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    assert stages_run(run) == ["prepare@poetry", "summarize@poetry", "merge@poetry"]
    stale = json.loads(dvc(restored, "status", "--json").stdout)
    # The poem is learnt from, so base has nothing new to answer.
    assert set(stale) == {"train@poetry", "merge_weights@poetry", "evaluate@poetry"}


def append(path: Path, line: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(f"\n{line}\n")


def test_a_docstring_or_a_comment_reruns_no_stage(restored: Path) -> None:
    path = restored / "src/wenmo/core/errors.py"
    path.write_text(path.read_text("utf-8").replace('"""', '"""Reworded. ', 1), "utf-8")
    append(restored / "src/wenmo/text/prosody.py", "# A comment.")
    assert stages_run(dvc(restored, "repro")) == ["check"]


def test_a_line_of_the_pages_style_reruns_the_pages_alone(restored: Path) -> None:
    append(restored / "src/wenmo/report/page.css", "b { color: inherit }")
    pages = [f"report@{task}" for task in TASKS]
    assert stages_run(dvc(restored, "repro")) == ["check", *pages, "overview"]


def test_code_edited_during_a_run_is_noticed(restored: Path) -> None:
    """Stage summarize edits a module of merge, as a person might before merge has its turn."""
    edit = "open('src/wenmo/text/split.py', 'a').write('\\nmore = 1\\n')"
    append(restored / "stages/summarize.py", edit)
    append(restored / "src/wenmo/text/leakage.py", "more = 1")
    first = dvc(restored, "repro", "merge@poetry")
    assert first.returncode != 0
    refusal = "merge: code or libraries have changed since `check`: wenmo.text.split"
    assert f"{refusal}; run `dvc repro merge@poetry`" in first.stderr
    single = dvc(restored, "repro", "--single-item", "merge@poetry")
    assert single.returncode != 0 and refusal in single.stderr
    second = dvc(restored, "repro", "merge@poetry")
    assert second.returncode == 0
    assert stages_run(second) == ["check", "merge@poetry"]
