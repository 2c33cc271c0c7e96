"""Score what base and tuned wrote, compare them, and make the page to read.

PYTHONPATH=src python stages/evaluate.py poetry
"""

from pathlib import Path

from wenmo import params
from wenmo.model.chat import ChatParams
from wenmo.model.heldout import losses_per_character
from wenmo.records import Generation, Row, read_records, write_json
from wenmo.report.page import write_page
from wenmo.scoring.comparison import EvaluateParams
from wenmo.scoring.metrics import paired_metrics
from wenmo.scoring.scorecard import score
from wenmo.stage import parse_arguments, running

if __name__ == "__main__":
    task = parse_arguments(__doc__, task="novel, fairytale or poetry").task
    with running("evaluate", task):
        steering, chat = EvaluateParams.load("evaluate", task), ChatParams.load("chat", task)
        rows = read_records(Row, Path(f"data/merged/{task}/eval.jsonl"))
        base = read_records(Generation, Path(f"outputs/{task}/eval.base.jsonl"))
        tuned = read_records(Generation, Path(f"outputs/{task}/eval.tuned.jsonl"))
        precision = steering.precision
        base_losses = losses_per_character(
            Path("models/base"), rows, chat, precision, "held-out loss of base"
        )
        tuned_losses = losses_per_character(
            Path(f"models/merged/{task}"), rows, chat, precision, "held-out loss of tuned"
        )
        metrics = paired_metrics(
            task,
            score(task, base, base_losses),
            score(task, tuned, tuned_losses),
            steering.resamples,
            params.seed(),
        )
        write_json(Path(f"metrics/{task}.json"), metrics)
        write_page(Path(f"reports/{task}.html"), task, metrics, base, tuned)
