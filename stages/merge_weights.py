"""Merge a task's adapter into the base model.

PYTHONPATH=src python stages/merge_weights.py poetry
"""

from pathlib import Path

from wenmo.model.merging import MergeWeightsParams, merge
from wenmo.stage import parse_arguments, running

if __name__ == "__main__":
    task = parse_arguments(__doc__, task="novel, fairytale or poetry").task
    with running("merge_weights", task):
        merge(
            base=Path("models/base"),
            adapter=Path(f"models/adapters/{task}"),
            output=Path(f"models/merged/{task}"),
            params=MergeWeightsParams.load("merge_weights", task),
        )
