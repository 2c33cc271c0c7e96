"""Merge a task's adapter into the base model.

PYTHONPATH=src python stages/merge_weights.py poetry
"""

from pathlib import Path

from wenmo.model.chat import ChatParams
from wenmo.model.merging import MergeWeightsParams, merge
from wenmo.records import Row, read_records, write_json
from wenmo.stage import parse_arguments, running

if __name__ == "__main__":
    task = parse_arguments(__doc__, task="novel, fairytale or poetry").task
    with running("merge_weights", task):
        agreement = merge(
            base=Path("models/base"),
            adapter=Path(f"models/adapters/{task}"),
            output=Path(f"models/merged/{task}"),
            rows=read_records(Row, Path(f"data/merged/{task}/eval.jsonl")),
            params=MergeWeightsParams.load("merge_weights", task),
            chat=ChatParams.load("chat", task),
        )
        write_json(Path(f"metrics/merge_weights/{task}.json"), agreement)
