"""The data stages over 1, 4 and 16 million characters, whose time should grow with the text.

Seconds are those of the stage's own work, without the start of Python. The exponent is the slope of
a straight line through their logarithms: 1 is in proportion, 2 in proportion to the square.
"""

from pathlib import Path
from typing import Any

import numpy as np
from bench.corpus import write_novels
from bench.markdown import Table
from bench.prepare import LIMITS
from bench.rounds import Measurement, Runs, in_turn, spread
from bench.stage_run import run_stage, write_params

SIZES = (1_000_000, 4_000_000, 16_000_000)
STAGES = ("prepare", "summarize", "merge")
ROUNDS = 3
MOST = 1.1
"""An exponent above this is a defect."""

PARAMS = {
    "prepare": {"processes": 1},
    # What is drawn from so small a sample repeats some of its turns of phrase.
    "merge": {"max_train_rows": 10**9, "max_leakage": 1.0},
    "novel": {"prepare": {"passages": LIMITS}, "merge": {"group_by": "row"}},
}


def measure(folder: Path, scale: float) -> dict[str, Any]:
    """Each data stage on what the stage before has made, for each size."""
    sizes = [round(size * scale) for size in SIZES]

    def stages(size: int) -> Measurement:
        within = folder / str(size)
        measured: Measurement = {}
        for stage in STAGES:
            raw = [within / "raw"] if stage == "prepare" else []
            log = run_stage(within, stage, "novel", *raw)["log"]
            measured |= {stage: log["seconds"], f"{stage}_mebibytes": log["peak_mebibytes"]}
        return measured

    for size in sizes:
        write_params(folder / str(size), PARAMS)
        write_novels(folder / str(size) / "raw", size)
    contenders = {str(size): lambda size=size: stages(size) for size in sizes}
    return {"runs": in_turn(contenders, ROUNDS, "growth")}


def exponent(sizes: list[float], seconds: list[float]) -> float:
    """The slope of the straight line, by least squares, through the logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def medians(runs: Runs, stage: str) -> list[float]:
    """Of each size the median seconds; a clock of hundredths may have seen none."""
    return [max(0.005, spread([run[stage] for run in of_size]).median) for of_size in runs.values()]


def exponents(result: dict[str, Any]) -> dict[str, float]:
    """The fitted exponent of each stage."""
    sizes = [float(size) for size in result["runs"]]
    return {stage: exponent(sizes, medians(result["runs"], stage)) for stage in STAGES}


def tables(result: dict[str, Any]) -> list[Table]:
    """Seconds and memory for each size, and the exponent."""
    runs: Runs = result["runs"]
    fitted = exponents(result)
    rows = [
        [
            f"`{stage}`",
            *(spread([run[stage] for run in of_size]).shown(2) for of_size in runs.values()),
            f"**{fitted[stage]:.2f}**",
            f"{max(run[f'{stage}_mebibytes'] for of_size in runs.values() for run in of_size):.0f}",
        ]
        for stage in STAGES
    ]
    sizes = [f"{int(size) / 1e6:g} million (s)" for size in runs]
    return [(["", *sizes, "exponent", "most memory (MiB)"], rows)]
