"""A training of seconds: section `train` of params.yaml made small, and six short poems."""

from pathlib import Path
from typing import Any

from tests.conftest import ROOT, make_row
from wenmo.config import params_file
from wenmo.config.chat import ChatParams
from wenmo.config.params_file import deep_merge
from wenmo.config.train import TrainParams
from wenmo.core.records import Row
from wenmo.model.training import Outputs, train

CHAT = ChatParams(system_prompt="你是一位诗人。")
ROWS = [make_row(n, f"雪落千山静，风来{c}叶轻。") for n, c in enumerate("一二三四五六")]


def settings(**update: Any) -> TrainParams:
    """Section train of params.yaml, made small."""
    small = {
        "max_steps": 3,
        "max_length": 128,
        "learning_rate": 1e-2,
        "lr_scheduler_type": "constant",
        "warmup_steps": 0,
        "logging_steps": 1,
        "eval_steps": 2,
        "save_steps": 2,
        "lora": {"r": 4, "lora_alpha": 8.0, "lora_dropout": 0.0},
    }
    section = deep_merge(params_file.read(ROOT / "params.yaml")["train"], small)
    return TrainParams.model_validate(deep_merge(section, update))


def fit(
    base: Path, folder: Path, rows: list[Row] = ROWS, **update: Any
) -> tuple[dict[str, float], dict[str, Any]]:
    """Train on all rows but the last two. Returns the ledger and the log."""
    log: dict[str, Any] = {}
    outputs = Outputs(folder / "adapter", folder / "curves", folder / "checkpoints")
    ledger = train(rows[:-2], rows[-2:], base, outputs, settings(**update), CHAT, 1, log)
    return ledger, log
