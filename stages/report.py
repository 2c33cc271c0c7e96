"""Make the page to read: verdict, scores, pictures, and every text of base beside tuned.

PYTHONPATH=src python stages/report.py poetry
"""

from pathlib import Path

from wenmo.core.reading import made, read_generations, read_rows, read_scores
from wenmo.core.records import read_json_lines, write_csv
from wenmo.core.stage import parse_arguments, run_stage
from wenmo.report.bars import bars
from wenmo.report.page import Report, read_curve, write_page
from wenmo.scoring.overlap import signatures

if __name__ == "__main__":
    task = parse_arguments(__doc__, task="novel, fairytale or poetry").task
    with run_stage("report", task):
        rows = read_rows(Path(f"data/merged/{task}/eval.jsonl"), f"merge@{task}")
        outputs, curves = Path(f"outputs/{task}"), Path(f"plots/train/{task}")
        scores = read_scores(Path(f"metrics/evaluate/{task}.json"), f"evaluate@{task}")
        scores_by_row = made(Path(f"reports/{task}.jsonl"), f"evaluate@{task}")
        report = Report(
            task=task,
            scores=scores,
            base=read_generations(outputs / "eval.base.jsonl", rows, f"baseline@{task}"),
            tuned=read_generations(outputs / "eval.tuned.jsonl", rows, f"generate@{task}"),
            by_row=[each for _, each in read_json_lines(scores_by_row)],
            training_loss=read_curve(curves / "loss.tsv"),
            held_out_loss=read_curve(curves / "eval/loss.tsv"),
            signatures=signatures(),
        )
        write_page(Path(f"reports/{task}.html"), report)
        write_csv(Path(f"plots/scores/{task}.csv"), bars(scores))
