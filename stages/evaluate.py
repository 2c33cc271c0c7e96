"""Score what base and tuned wrote, compare them, and make the page to read.

PYTHONPATH=src python stages/evaluate.py poetry
"""

from pathlib import Path

from wenmo.config import params_file
from wenmo.config.chat import ChatParams
from wenmo.config.evaluate import EvaluateParams, judge_endpoint
from wenmo.core.reading import read_generations, read_rows
from wenmo.core.records import write_csv, write_json, write_json_lines
from wenmo.core.stage import parse_arguments, run_stage
from wenmo.llm.client import Usage
from wenmo.model.loss import losses_of_models
from wenmo.report.page import Report, read_curve, write_page
from wenmo.scoring.evaluation import ModelResult, evaluate
from wenmo.scoring.judge import judge
from wenmo.scoring.overlap import signatures

if __name__ == "__main__":
    task = parse_arguments(__doc__, task="novel, fairytale or poetry").task
    with run_stage("evaluate", task) as log:
        params, chat = EvaluateParams.load("evaluate", task), ChatParams.load("chat", task)
        data, outputs, curves = (
            Path(folder, task) for folder in ("data/merged", "outputs", "plots/train")
        )
        rows = read_rows(data / "eval.jsonl", f"merge@{task}")
        training = read_rows(data / "train.jsonl", f"merge@{task}")
        base, tuned = read_generations(outputs, rows, params.seeds, f"generate@{task}")
        loss, held_out_loss = read_curve(curves / "loss.tsv"), read_curve(curves / "eval/loss.tsv")
        # Before the slower losses, so that a missing key shows at once.
        usage = Usage()
        log["judge"] = vars(usage)  # as it stands when the stage ends, well or not
        endpoint = judge_endpoint(params.judge, params_file.read(), task)
        judged = judge(base, tuned, params.judge, endpoint, usage) if endpoint else {}

        models = {"base": Path("models/base"), "tuned": Path(f"models/merged/{task}")}
        losses = losses_of_models(models, rows, chat, params.precision)
        written = ModelResult(base, losses["base"]), ModelResult(tuned, losses["tuned"])
        result = evaluate(task, rows, training, *written, params, params_file.seed(), judged)

        write_json(Path(f"metrics/{task}.json"), result.metrics)
        write_json(Path(f"metrics/evaluate/{task}.json"), result.details)
        write_json_lines(Path(f"reports/{task}.jsonl"), result.by_row)
        write_csv(Path(f"plots/evaluate/{task}.csv"), result.bars)
        report = Report(
            task=task,
            metrics=result.metrics,
            details=result.details,
            base=base,
            tuned=tuned,
            by_row=result.by_row,
            training_loss=loss,
            held_out_loss=held_out_loss,
            signatures=signatures(),
        )
        write_page(Path(f"reports/{task}.html"), report)
