"""Scores as Markdown tables, from metrics/evaluate/<task>.json."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from wenmo.config.params_file import TASKS
from wenmo.report.names import SCORE_NAMES, better_direction
from wenmo.scoring.catalogue import primary_score
from wenmo.scoring.evaluation import Scores


@dataclass(frozen=True)
class Words:
    """The words of the comparison in one language: column titles, names of tasks and scores."""

    columns: tuple[str, str, str, str, str]
    interval: str
    floor: str
    names: Mapping[str, str]


ENGLISH = Words(
    columns=("task", "primary score", "base", "tuned", "gain (95% interval)"),
    interval="{:.3f} ({:.3f} to {:.3f})",
    floor="none, since both are 0",
    names={task: task for task in TASKS} | SCORE_NAMES,
)
CHINESE = Words(
    columns=("任务", "主要指标", "微调前", "微调后", "提升（95% 置信区间）"),
    interval="{:.3f}（{:.3f} 至 {:.3f}）",
    floor="两者均为 0，无从比较",
    names={
        "novel": "小说",
        "fairytale": "童话",
        "poetry": "古诗",
        "loss_per_character": "留出集每字损失（nat）",
        "form": "格式完全正确的比例",
    },
)


def read_scores(tasks: Sequence[str]) -> dict[str, Scores]:
    """metrics/evaluate/<task>.json of each task."""
    return {task: json.loads(Path(f"metrics/evaluate/{task}.json").read_text()) for task in tasks}


def scores_table(scores: Mapping[str, Scores]) -> str:
    """Markdown: a row per score, with base and tuned of each task side by side."""
    columns = {
        f"{task} {model}": {
            _label(key, ENGLISH): f"{value:.3f}" for key, value in scores[task][model].items()
        }
        for task in scores
        for model in ("base", "tuned")
    }
    order = [_label(key, ENGLISH) for key in SCORE_NAMES]
    table = pd.DataFrame(columns).sort_index(key=lambda labels: labels.map(order.index)).fillna("")
    alignment = ["left"] + ["right"] * len(columns)
    return str(table.to_markdown(disable_numparse=True, colalign=alignment))


def comparison_table(scores: Mapping[str, Scores], words: Words = ENGLISH) -> str:
    """Markdown: a row per task, with its primary score of base and tuned, and the gain.

    The gain is positive where tuned is better, whichever way the score improves.
    """
    rows = []
    for task, of_task in scores.items():
        key, delta = primary_score(task), of_task["delta"]
        values = [of_task[model][key] for model in ("base", "tuned")]
        interval = words.interval.format(delta["primary"], delta["ci_low"], delta["ci_high"])
        gain = interval if any(values) else words.floor
        models = (f"{value:.3f}" for value in values)
        rows.append([words.names[task], _label(key, words), *models, gain])
    table = pd.DataFrame(rows, columns=words.columns)
    alignment = ["left", "left", "right", "right", "left"]
    return str(table.to_markdown(index=False, disable_numparse=True, colalign=alignment))


def _label(key: str, words: Words) -> str:
    return f"{words.names[key]} {better_direction(key)}".rstrip()
