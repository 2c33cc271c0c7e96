"""Scores as tables, from metrics/evaluate/<task>.json.

python -m wenmo.tools.score_tables
"""

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from wenmo.config.params_file import TASKS
from wenmo.report.names import SCORE_NAMES, better_direction
from wenmo.scoring.catalogue import primary_score
from wenmo.scoring.evaluation import Scores


def read_scores(tasks: Sequence[str]) -> dict[str, Scores]:
    """metrics/evaluate/<task>.json of each task."""
    return {task: json.loads(Path(f"metrics/evaluate/{task}.json").read_text()) for task in tasks}


def scores_table(metrics: dict[str, Scores]) -> str:
    """Markdown: a score a row, base and tuned of each task side by side."""
    columns = {
        f"{task} {model}": {
            _label(key): f"{value:.3f}" for key, value in metrics[task][model].items()
        }
        for task in metrics
        for model in ("base", "tuned")
    }
    order = [_label(key) for key in SCORE_NAMES]
    table = pd.DataFrame(columns).sort_index(key=lambda labels: labels.map(order.index)).fillna("")
    alignment = ["left"] + ["right"] * len(columns)
    return str(table.to_markdown(disable_numparse=True, colalign=alignment))


def comparison_table(metrics: dict[str, Scores]) -> str:
    """Markdown: a task a row, with the improvement of its primary score and how sure that is."""
    rows = {
        task: {
            "primary score": SCORE_NAMES[primary_score(task)],
            "improvement": f"{delta['primary']:.3f}",
            "95% interval": f"{delta['ci_low']:.3f} to {delta['ci_high']:.3f}",
            "p": f"{delta['p_value']:.4f}",
            "rows won": f"{delta['win_rate']:.0%}",
        }
        for task, delta in ((task, each["delta"]) for task, each in metrics.items())
    }
    return str(pd.DataFrame(rows).T.to_markdown(disable_numparse=True))


def _label(key: str) -> str:
    return f"{SCORE_NAMES[key]} {better_direction(key)}".rstrip()


if __name__ == "__main__":
    built = [task for task in TASKS if Path(f"metrics/evaluate/{task}.json").is_file()]
    scores = read_scores(built)
    print(f"{scores_table(scores)}\n\n{comparison_table(scores)}")
