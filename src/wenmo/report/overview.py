"""What a run ends with: per task the verdict, what became of its texts, and the page to open."""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from wenmo.core.errors import UserError
from wenmo.core.language import N_, gettext, ngettext
from wenmo.core.reading import made, read_scores
from wenmo.report.names import better_direction, score_name
from wenmo.report.wording import basis, number, signed, verdict
from wenmo.scoring.catalogue import primary_score

TEXTS = {"novel": "books", "fairytale": "tales", "poetry": "poems"}
"""What a user calls the raw texts of a task."""

ROWS = TEXTS | {"novel": "passages"}
"""What they become: a book is cut into passages."""

LEFT_OUT_BY_MERGE = {
    "duplicate": N_("repetitions"),
    "near_duplicate": N_("near-duplicates"),
    "gap": N_("beside held-out ones"),
    "over_max_train_rows": N_("beyond merge.max_train_rows"),
    "over_max_eval_rows": N_("beyond merge.max_eval_rows"),
}

_TOO_FEW = {
    "books": N_("{account} in blocks of {rows}, since there are too few books"),
    "tales": N_("{account} in blocks of {rows}, since there are too few tales"),
    "poems": N_("{account} in blocks of {rows}, since there are too few poems"),
}


def overview(tasks: Sequence[str]) -> str:
    """What the last run found of each task, from metrics/, and the commands to go on with.

    Raises UserError for a missing file, with the stage that writes it.
    """
    of_tasks = [
        "\n  ".join(
            [
                *_scores(task),
                *texts_read(task),
                *rows_parted(task),
                *_memorised(task),
                f"reports/{task}.html",
            ]
        )
        for task in tasks
    ]
    way_on = gettext(
        "Open a page above. `wenmo write --task {task}` writes with the tuned model, `wenmo show`"
        " lists experiments side by side.",
        task=tasks[-1],
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
    texts = counted(prepared["documents"], unit)
    if used == f"{prepared['documents']:,}":
        read = gettext("{texts} read and used", texts=texts)
    else:
        read = gettext("{texts} read, {used} used", texts=texts, used=used)
    yield read + (gettext(" (not {books})", books=gettext(", ").join(unused)) if unused else "")
    if dropped := prepared["dropped_rows"]:
        path = Path(f"data/rejected/{task}.jsonl")
        yield gettext("{left_out} ({path})", left_out=_left_out(dropped, ROWS[task]), path=path)
    if malformed := prepared["malformed"]:
        yield ngettext(
            "{count:,} malformed row skipped", "{count:,} malformed rows skipped", malformed
        )


def rows_parted(task: str) -> Iterator[str]:
    """How many rows are learnt from and held out, and why merge left others out."""
    merged, unit = _read(task, "merge"), ROWS[task]
    line = gettext(
        "{texts} learnt from, {held_out:,} held out",
        texts=counted(merged["train"], unit),
        held_out=merged["eval"],
    )
    if rows := merged.get("chosen_block_rows"):
        line = gettext(_TOO_FEW[TEXTS[task]], account=line, rows=counted(rows, unit))
    yield line
    if dropped := left_out_by_merge(task):
        yield _left_out(dropped, unit)


def left_out_by_merge(task: str) -> dict[str, int]:
    """The number of rows by the reason for which merge left them out."""
    dropped = _read(task, "merge")["dropped"]
    return {gettext(LEFT_OUT_BY_MERGE[key]): count for key, count in dropped.items() if count}


def counted(count: int, unit: str) -> str:
    """A number and what is counted, which is one of TEXTS or ROWS."""
    match unit:
        case "books":
            return ngettext("{count:,} book", "{count:,} books", count)
        case "passages":
            return ngettext("{count:,} passage", "{count:,} passages", count)
        case "tales":
            return ngettext("{count:,} tale", "{count:,} tales", count)
        case _:
            return ngettext("{count:,} poem", "{count:,} poems", count)


def _scores(task: str) -> Iterator[str]:
    """The verdict, the primary score of base and tuned with the gain's interval, and the basis."""
    scores = read_scores(Path(f"metrics/evaluate/{task}.json"), f"evaluate@{task}")
    key = primary_score(task)
    base, tuned = (number(scores[model][key]) for model in ("base", "tuned"))
    gain, low, high = (signed(scores["delta"][part]) for part in ("primary", "ci_low", "ci_high"))
    yield f"{task}: {verdict(scores, key)}"
    yield gettext(
        "{score} {direction} {base} → {tuned}, gain {gain} (95% interval {low} to {high})",
        score=score_name(key),
        direction=better_direction(key),
        base=base,
        tuned=tuned,
        gain=gain,
        low=low,
        high=high,
    )
    if told := basis(scores):
        yield told


def _memorised(task: str) -> Iterator[str]:
    """That training went on for too long, if the held-out loss ended above its start."""
    if _read(task, "train")["eval_loss_rose"]:
        yield gettext(
            "the held-out loss rose in training: train.max_steps or train.learning_rate is too high"
            " for these texts; `dvc exp run -S train.load_best_model_at_end=true` keeps the best"
            " checkpoint"
        )


def _left_out(reasons: Mapping[str, int], unit: str) -> str:
    return gettext(
        "{texts} left out: {reasons}",
        texts=counted(sum(reasons.values()), unit),
        reasons=counted_reasons(reasons),
    )


def counted_reasons(reasons: Mapping[str, int]) -> str:
    """How much was left out for each reason."""
    told = (
        gettext("{count:,} {reason}", count=count, reason=gettext(reason))
        for reason, count in reasons.items()
    )
    return gettext(", ").join(told)


def _read(task: str, stage: str) -> Any:
    path = made(Path(f"metrics/{stage}/{task}.json"), f"{stage}@{task}")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise UserError(
            "{path}: not JSON; run `dvc repro {stage}`", path=path, stage=f"{stage}@{task}"
        ) from None
