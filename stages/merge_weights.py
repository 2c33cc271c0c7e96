"""Merge a task's adapter into the base model.

PYTHONPATH=src python stages/merge_weights.py poetry
"""

from pathlib import Path

from wenmo.config.chat import ChatParams
from wenmo.config.merge_weights import MergeWeightsParams
from wenmo.config.train import TrainParams
from wenmo.core.reading import made, read_rows
from wenmo.core.records import write_json, write_text
from wenmo.core.stage import parse_arguments, run_stage
from wenmo.model.card import CARD, model_card
from wenmo.model.merge_weights import merge_adapter
from wenmo.model.provenance import read_record, sha256

if __name__ == "__main__":
    task = parse_arguments(__doc__, task="novel, fairytale or poetry").task
    with run_stage("merge_weights", task):
        base, output = Path("models/base"), Path(f"models/merged/{task}")
        data = Path(f"data/merged/{task}")
        params, chat = MergeWeightsParams.load("merge_weights", task), ChatParams.load("chat", task)
        rows = read_rows(data / "eval.jsonl", f"merge@{task}")
        # Before the weights, so that nothing half done is left where a file is missing.
        card = model_card(
            task=task,
            base=read_record(base),
            data_sha256=sha256(made(data / "train.jsonl", f"merge@{task}")),
            parameters={
                "chat": chat.model_dump(),
                "train": TrainParams.load("train", task).in_use(),
                "merge_weights": params.model_dump(),
            },
            library="transformers",
        )
        agreement = merge_adapter(
            base=base,
            adapter=Path(f"models/adapters/{task}"),
            output=output,
            rows=rows,
            params=params,
            chat=chat,
        )
        write_text(output / CARD, card)
        write_json(Path(f"metrics/merge_weights/{task}.json"), agreement)
