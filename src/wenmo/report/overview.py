"""What a run ends with: per task the verdict, what became of its texts, and the page to open."""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from wenmo.core.errors import UserError
from wenmo.core.reading import made, read_scores
from wenmo.report.names import SCORE_NAMES, better_direction
from wenmo.report.wording import number, signed, verdict
from wenmo.scoring.catalogue import primary_score

TEXTS = {"novel": "books", "fairytale": "tales", "poetry": "poems"}
"""What a user calls the raw texts of a task."""

ROWS = TEXTS | {"novel": "passages"}
"""What they become: a book is cut into passages."""

LEFT_OUT_BY_MERGE = {
    "duplicate": "repetitions",
    "near_duplicate": "near-duplicates",
    "gap": "beside held-out ones",
    "over_max_train_rows": "beyond merge.max_train_rows",
    "over_max_eval_rows": "beyond merge.max_eval_rows",
}


def overview(tasks: Sequence[str]) -> str:
    """What the last run found of each task, from metrics/, and the commands to go on with.

    Raises UserError for a missing file, with the stage that writes it.
    """
    of_tasks = [
        "\n  ".join([*_scores(task), *texts_read(task), *rows_parted(task), f"reports/{task}.html"])
        for task in tasks
    ]
    way_on = (
        f"Open a page above. `wenmo write --task {tasks[-1]}` writes with the tuned model,"
        " `wenmo show` lists experiments side by side."
    )
    return "\n\n".join([*of_tasks, way_on])


def texts_read(task: str) -> Iterator[str]:
    """How many books, tales or poems prepare read and used, and why it left others out."""
    prepared, unit = _read(task, "prepare"), ROWS[task]
    table = made(Path(f"metrics/prepare/{task}.csv"), f"prepare@{task}")
    with table.open(encoding="utf-8", newline="") as file:
        rows = {each["source"]: int(each["rows"]) for each in csv.DictReader(file)}
    used, unused = f"{prepared['rows']:,}", list[str]()
    # A book is a source by itself, and passages with their prompts share one.
    if task == "novel" and prepared["documents"] == len(rows):
        unused = [source for source, count in rows.items() if not count]
        unit, used = TEXTS[task], f"{len(rows) - len(unused):,}"
    told = f" (not {', '.join(unused)})" if unused else ""
    yield f"{counted(prepared['documents'], unit)} read, {used} used{told}"
    if dropped := prepared["dropped_rows"]:
        yield f"{_left_out(dropped, ROWS[task])} (data/rejected/{task}.jsonl)"
    if malformed := prepared["malformed"]:
        yield f"{counted(malformed, 'malformed rows')} skipped"


def rows_parted(task: str) -> Iterator[str]:
    """How many rows are learnt from and held out, and why merge left others out."""
    merged, unit = _read(task, "merge"), ROWS[task]
    line = f"{counted(merged['train'], unit)} learnt from, {merged['eval']:,} held out"
    if rows := merged.get("chosen_block_rows"):
        line += f" in blocks of {counted(rows, unit)}, since there are too few {TEXTS[task]}"
    yield line
    if dropped := left_out_by_merge(task):
        yield _left_out(dropped, unit)


def left_out_by_merge(task: str) -> dict[str, int]:
    """The number of rows by the reason for which merge left them out."""
    dropped = _read(task, "merge")["dropped"]
    return {LEFT_OUT_BY_MERGE[key]: count for key, count in dropped.items() if count}


def counted(count: int, unit: str) -> str:
    """A number and what is counted, which is given in the plural."""
    return f"{count:,} {unit.removesuffix('s') if count == 1 else unit}"


def _scores(task: str) -> Iterator[str]:
    """The verdict, and the primary score of base and tuned with the gain's interval."""
    scores = read_scores(Path(f"metrics/evaluate/{task}.json"), f"evaluate@{task}")
    key = primary_score(task)
    base, tuned = (number(scores[model][key]) for model in ("base", "tuned"))
    gain, low, high = (signed(scores["delta"][part]) for part in ("primary", "ci_low", "ci_high"))
    yield f"{task}: {verdict(scores, key)}"
    yield (
        f"{SCORE_NAMES[key]} {better_direction(key)} {base} → {tuned},"
        f" gain {gain} (95% interval {low} to {high})"
    )


def _left_out(reasons: Mapping[str, int], unit: str) -> str:
    told = ", ".join(f"{count:,} {reason}" for reason, count in reasons.items())
    return f"{counted(sum(reasons.values()), unit)} left out: {told}"


def _read(task: str, stage: str) -> Any:
    path = made(Path(f"metrics/{stage}/{task}.json"), f"{stage}@{task}")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise UserError(f"{path}: not JSON; run `dvc repro {stage}@{task}`") from None
