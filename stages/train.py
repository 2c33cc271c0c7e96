"""Fit a task's LoRA adapter to the base model.

PYTHONPATH=src python stages/train.py poetry
"""

from pathlib import Path

from wenmo import params
from wenmo.inputs import read_rows
from wenmo.model.chat import ChatParams
from wenmo.model.training import Outputs, TrainParams, train
from wenmo.processes import IS_MAIN_PROCESS
from wenmo.records import write_json
from wenmo.stage import parse_arguments, running

if __name__ == "__main__":
    task = parse_arguments(__doc__, task="novel, fairytale or poetry").task
    with running("train", task) as log:
        steering, chat = TrainParams.load("train", task), ChatParams.load("chat", task)
        ledger = train(
            rows=read_rows(Path(f"data/merged/{task}/train.jsonl"), f"merge@{task}"),
            eval_rows=read_rows(Path(f"data/merged/{task}/eval.jsonl"), f"merge@{task}"),
            base=Path("models/base"),
            outputs=Outputs(
                adapter=Path(f"models/adapters/{task}"),
                curves=Path(f"plots/train/{task}"),
                checkpoints=Path(f"checkpoints/{task}"),
            ),
            params=steering,
            chat=chat,
            seed=params.seed(),
            log=log,
        )
        if IS_MAIN_PROCESS:
            write_json(Path(f"metrics/train/{task}.json"), ledger)
