"""Each stage on the least work that it takes: twelve poems, one training step, one token per text.

Seconds are those of the process from its start to its end; a model stage loads a tiny model.
"""

from pathlib import Path
from typing import Any

import pandas as pd
from bench.rounds import Measurement, contender_table, in_turn, quantity
from bench.stage_run import ROOT, run_script, write_params

STAGES = (
    "check",
    "prepare",
    "summarize",
    "merge",
    "base_model",
    "train",
    "merge_weights",
    "baseline",
    "generate",
    "evaluate",
    "report",
    "overview",
)
FIRST_WITH_MODEL = "base_model"
"""The stages before this one load no model."""

OF_ALL_TASKS = ("check", "base_model", "overview")
POEMS, ROUNDS = 12, 3
LEAST = {
    "tasks": ["poetry"],
    "base_model": {"path": str(ROOT / "pretrained/wenmo-3m")},
    "merge": {"group_by": "row", "eval_fraction": 0.5},
    "poetry": {"merge": {"group_by": "row"}, "generate": {"length": {"min_chars": 1}}},
    "train": {"max_steps": 1},
    "generate": {"sampling": {"max_new_tokens": 1}},
    "evaluate": {"resamples": 100},
}


def measure(folder: Path, scale: float) -> dict[str, Any]:
    """Each stage on the output of the stages before."""
    write_params(folder, LEAST)
    (folder / "pyproject.toml").symlink_to(ROOT / "pyproject.toml")
    raw = folder / "raw"
    raw.mkdir()
    poems = pd.read_csv(ROOT / "data/sample/poetry/poems.csv", keep_default_na=False)
    poems.head(POEMS).to_csv(raw / "poems.csv", index=False)

    def stage(name: str) -> Measurement:
        task = [] if name in OF_ALL_TASKS else ["poetry"]
        run_script(folder, name, *task, *([raw] if name == "prepare" else []))
        return {}

    # The first round goes in the pipeline's order, so that each stage finds its inputs.
    contenders = {name: lambda name=name: stage(name) for name in STAGES}
    return {"runs": in_turn(contenders, ROUNDS, "start-up")}


def tables(result: dict[str, Any]) -> list[str]:
    """Seconds of each stage."""
    runs = {f"`{name}`": own for name, own in result["runs"].items()}
    return [contender_table(runs, {"seconds": lambda own: quantity(own).shown(2)})]
