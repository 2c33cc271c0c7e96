"""Fit a task's LoRA adapter to the base model.

PYTHONPATH=src python stages/train.py poetry
"""

from pathlib import Path

from wenmo import params
from wenmo.model.chat import ChatParams
from wenmo.model.training import Outputs, TrainParams, train
from wenmo.processes import IS_MAIN_PROCESS
from wenmo.records import Row, read_records, write_json
from wenmo.stage import parse_arguments, running

if __name__ == "__main__":
    task = parse_arguments(__doc__, task="novel, fairytale or poetry").task
    with running("train", task) as log:
        ledger = train(
            rows=read_records(Row, Path(f"data/merged/{task}/train.jsonl")),
            eval_rows=read_records(Row, Path(f"data/merged/{task}/eval.jsonl")),
            base=Path("models/base"),
            outputs=Outputs(
                adapter=Path(f"models/adapters/{task}"),
                curves=Path(f"plots/train/{task}"),
                checkpoints=Path(f"checkpoints/{task}"),
            ),
            params=TrainParams.load("train", task),
            chat=ChatParams.load("chat", task),
            seed=params.seed(),
            log=log,
        )
        if IS_MAIN_PROCESS:
            write_json(Path(f"metrics/train/{task}.json"), ledger)
