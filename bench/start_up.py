"""What each stage costs before there is any work: the stage on the least that it takes.

Twelve short poems, one step of training, one token a text. Seconds are those of the process, from
starting Python to its end; the tables of the model stages have loading a tiny model in them.
"""

import csv
from itertools import islice
from pathlib import Path
from typing import Any

from bench.markdown import Table
from bench.rounds import Measurement, duration, in_turn
from bench.stage_run import ROOT, run_stage, write_params

DATA = ("check", "prepare", "summarize", "merge")
MODELS = ("base_model", "train", "merge_weights", "baseline", "generate", "evaluate", "report")
OF_ALL = ("check", "base_model")
POEMS, ROUNDS = 12, 3
LEAST = {
    "base_model": {"path": str(ROOT / "data/sample/general"), "tiny": {"steps": 1}},
    "merge": {"group_by": "row", "eval_fraction": 0.5},
    "poetry": {"merge": {"group_by": "row"}},
    "train": {"max_steps": 1},
    "generate": {"sampling": {"max_new_tokens": 1}},
    "evaluate": {"resamples": 100},
}


def measure(folder: Path, scale: float) -> dict[str, Any]:
    """Each stage on what the stages before have made."""
    write_params(folder, LEAST)
    (folder / "pyproject.toml").symlink_to(ROOT / "pyproject.toml")
    raw = folder / "raw"
    raw.mkdir()
    with (ROOT / "data/sample/poetry/poems.csv").open(encoding="utf-8", newline="") as file:
        poems = list(islice(csv.reader(file), 1 + POEMS))
    with (raw / "poems.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(poems)

    def stage(name: str) -> Measurement:
        of_task = [] if name in OF_ALL else ["poetry"]
        data = [raw] if name == "prepare" else []
        cost = run_stage(folder, name, *of_task, *data)
        return {"seconds": cost["seconds"]}

    contenders = {name: lambda name=name: stage(name) for name in (*DATA, *MODELS)}
    # The first round has them in order, so that each finds what those before it have made.
    return {"runs": in_turn(contenders, ROUNDS, "start-up")}


def tables(result: dict[str, Any]) -> list[Table]:
    """Seconds of each stage."""
    rows = [[f"`{name}`", duration(of_one).shown(2)] for name, of_one in result["runs"].items()]
    return [(["", "seconds"], rows)]
