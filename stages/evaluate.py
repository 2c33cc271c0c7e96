"""Score what base and tuned wrote, and compare them row by row. No model is loaded.

PYTHONPATH=src python stages/evaluate.py poetry
"""

from pathlib import Path

from wenmo.config import params_file
from wenmo.config.evaluate import EvaluateParams
from wenmo.core.reading import RowsOnDisk, read_generations, read_losses, read_rows
from wenmo.core.records import write_json, write_json_lines
from wenmo.core.stage import parse_arguments, run_stage
from wenmo.llm.client import Usage
from wenmo.scoring.evaluation import ModelResult, evaluate
from wenmo.scoring.judge import judge

if __name__ == "__main__":
    task = parse_arguments(__doc__, task="novel, fairytale or poetry").task
    with run_stage("evaluate", task) as log:
        params, merged = EvaluateParams.load("evaluate", task), Path(f"data/merged/{task}")
        rows = read_rows(merged / "eval.jsonl", f"merge@{task}")
        training = RowsOnDisk(merged / "train.jsonl", f"merge@{task}")
        outputs = Path(f"outputs/{task}")
        base, tuned = (
            ModelResult(
                read_generations(outputs / f"eval.{model}.jsonl", rows, f"{stage}@{task}"),
                read_losses(outputs / f"loss.{model}.jsonl", rows, f"{stage}@{task}"),
            )
            for model, stage in (("base", "baseline"), ("tuned", "generate"))
        )
        usage = Usage()
        log["judge"] = vars(usage)  # as it stands when the stage ends, well or not
        judged = judge(base.generations, tuned.generations, params.judge, usage)
        result = evaluate(task, rows, training, base, tuned, params, params_file.seed(), judged)

        write_json(Path(f"metrics/{task}.json"), result.headline)
        write_json(Path(f"metrics/evaluate/{task}.json"), result.details)
        write_json_lines(Path(f"reports/{task}.jsonl"), result.by_row)
