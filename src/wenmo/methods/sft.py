"""Method sft: supervised fine-tuning on the training rows."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from wenmo.config.chat import ChatParams
from wenmo.config.train import TrainParams
from wenmo.core.records import Row
from wenmo.model.training import Outputs, train


def fit(
    task: str,
    rows: Iterable[Row],
    eval_rows: Iterable[Row],
    base: Path,
    outputs: Outputs,
    params: TrainParams,
    chat: ChatParams,
    seed: int,
    log: dict[str, Any],
) -> dict[str, Any]:
    """Fit an adapter as `wenmo.model.training.train` does, alike for every task."""
    return train(rows, eval_rows, base, outputs, params, chat, seed, log)
