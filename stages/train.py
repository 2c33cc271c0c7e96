"""Fit a task's LoRA adapter to the base model.

PYTHONPATH=src python stages/train.py poetry
"""

import os
import sys
from importlib import import_module
from pathlib import Path

from wenmo.config import params_file
from wenmo.config.chat import ChatParams
from wenmo.config.train import TrainParams, refuse_missing
from wenmo.core.processes import IS_MAIN_PROCESS
from wenmo.core.reading import RowsOnDisk
from wenmo.core.records import write_json
from wenmo.core.stage import parse_arguments, run_stage
from wenmo.model.cost import cost_in_words
from wenmo.model.tracking import TRACKER_ENVIRONMENT
from wenmo.model.training import Outputs

if __name__ == "__main__":
    task = parse_arguments(__doc__, task="novel, fairytale or poetry").task
    # Nothing is downloaded: kernels of the hub are those that the user has fetched.
    for name, value in {"HF_HUB_OFFLINE": "1", **TRACKER_ENVIRONMENT}.items():
        os.environ.setdefault(name, value)
    with run_stage("train", task) as log:
        params, chat = TrainParams.load("train", task), ChatParams.load("chat", task)
        # The result of `check` may have come by `dvc pull` from another machine.
        refuse_missing(params, task)
        method = import_module(f"wenmo.methods.{params.method}")
        ledger = method.fit(
            task=task,
            rows=RowsOnDisk(Path(f"data/merged/{task}/train.jsonl"), f"merge@{task}"),
            eval_rows=RowsOnDisk(Path(f"data/merged/{task}/eval.jsonl"), f"merge@{task}"),
            base=Path("models/base"),
            outputs=Outputs(
                adapter=Path(f"models/adapters/{task}"),
                curves=Path(f"plots/train/{task}"),
                checkpoints=Path(f"checkpoints/{task}"),
            ),
            params=params,
            chat=chat,
            seed=params_file.seed(),
            log=log,
        )
        if IS_MAIN_PROCESS:
            write_json(Path(f"metrics/train/{task}.json"), ledger)
            print(f"train: {cost_in_words(log)}", file=sys.stderr)
