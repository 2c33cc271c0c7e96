"""Bring a task's sources together and hold some rows out.

PYTHONPATH=src python stages/merge.py poetry
"""

from pathlib import Path

from wenmo import params
from wenmo.errors import UserError
from wenmo.records import Row, read_records, write_json, write_records
from wenmo.stage import parse_arguments, running
from wenmo.text.holdout import MergeParams, split

if __name__ == "__main__":
    task = parse_arguments(__doc__, task="novel, fairytale or poetry").task
    with running("merge", task):
        files = sorted(Path(f"data/summarized/{task}").glob("*.jsonl"))
        rows = [row for path in files for row in read_records(Row, path)]
        parts = split(rows, MergeParams.load("merge", task), params.seed())
        if not parts.train:
            raise UserError(f"{task}: {len(rows)} rows are too few to hold any out")
        write_records(Path(f"data/merged/{task}/train.jsonl"), parts.train)
        write_records(Path(f"data/merged/{task}/eval.jsonl"), parts.eval)
        ledger = {"train": len(parts.train), "eval": len(parts.eval), "dropped": parts.dropped}
        write_json(Path(f"metrics/merge/{task}.json"), ledger)
