"""Bring a task's sources together, drop repetitions and hold some groups of rows out.

PYTHONPATH=src python stages/merge.py poetry

Rows are read from disk when they are needed, so that any number of them fits into memory.
"""

from contextlib import closing
from pathlib import Path

from wenmo.config import params_file
from wenmo.config.merge import MergeParams
from wenmo.core.records import write_json, write_records
from wenmo.core.replacing import replaced_folder
from wenmo.core.row_files import RowFiles
from wenmo.core.stage import parse_arguments, run_stage
from wenmo.text.leakage import measure, refuse_leakage
from wenmo.text.split import split
from wenmo.text.split_account import metrics, summary

if __name__ == "__main__":
    task = parse_arguments(__doc__, task="novel, fairytale or poetry").task
    with run_stage("merge", task):
        params = MergeParams.load("merge", task)
        summarized = Path(f"data/summarized/{task}")
        with (
            replaced_folder(Path(f"data/merged/{task}")) as merged,
            closing(RowFiles(summarized, f"summarize@{task}", merged.parent)) as rows,
        ):
            parts = split(rows, params, params_file.seed(), task, merged.parent)
            print(summary(parts, params), flush=True)
            leakage = measure(
                rows.numbered(parts.in_order(parts.train)),
                rows.numbered(parts.in_order(parts.eval)),
            )
            refuse_leakage(leakage, params.max_leakage, task)
            write_records(merged / "train.jsonl", rows.numbered(parts.in_order(parts.train)))
            write_records(merged / "eval.jsonl", rows.numbered(parts.in_order(parts.eval)))
        ledger = metrics(parts, params) | {"leakage": round(leakage.share, 6)}
        write_json(Path(f"metrics/merge/{task}.json"), ledger)
