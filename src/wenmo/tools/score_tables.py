"""Scores as Markdown tables, from metrics/evaluate/<task>.json."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from wenmo.core.language import N_, gettext
from wenmo.report.names import SCORE_NAMES, better_direction, score_name
from wenmo.scoring.catalogue import primary_score
from wenmo.scoring.evaluation import Scores
from wenmo.tools.task_names import NAMES

_COLUMNS = (N_("task"), N_("primary score"), N_("base"), N_("tuned"), N_("gain (95% interval)"))


def read_scores(tasks: Sequence[str]) -> dict[str, Scores]:
    """metrics/evaluate/<task>.json of each task."""
    return {task: json.loads(Path(f"metrics/evaluate/{task}.json").read_text()) for task in tasks}


def scores_table(scores: Mapping[str, Scores]) -> str:
    """Markdown: a row per score, with base and tuned of each task side by side."""
    columns = {
        f"{task} {model}": {
            _label(key): f"{value:.3f}" for key, value in scores[task][model].items()
        }
        for task in scores
        for model in ("base", "tuned")
    }
    order = [_label(key) for key in SCORE_NAMES]
    table = pd.DataFrame(columns).sort_index(key=lambda labels: labels.map(order.index)).fillna("")
    alignment = ["left"] + ["right"] * len(columns)
    return str(table.to_markdown(disable_numparse=True, colalign=alignment))


def comparison_table(scores: Mapping[str, Scores]) -> str:
    """Markdown: a row per task, with its primary score of base and tuned, and the gain.

    The gain is positive where tuned is better, whichever way the score improves.
    """
    rows = []
    for task, of_task in scores.items():
        key, delta = primary_score(task), of_task["delta"]
        values = [of_task[model][key] for model in ("base", "tuned")]
        gain = gettext("none, since both are 0")
        if any(values):
            gain = gettext(
                "{gain:.3f} ({low:.3f} to {high:.3f})",
                gain=delta["primary"],
                low=delta["ci_low"],
                high=delta["ci_high"],
            )
        models = (f"{value:.3f}" for value in values)
        rows.append([gettext(NAMES[task]), _label(key), *models, gain])
    table = pd.DataFrame(rows, columns=[gettext(column) for column in _COLUMNS])
    alignment = ["left", "left", "right", "right", "left"]
    return str(table.to_markdown(index=False, disable_numparse=True, colalign=alignment))


def _label(key: str) -> str:
    return f"{score_name(key)} {better_direction(key)}".rstrip()
