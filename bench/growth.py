"""The data stages on 1, 4 and 16 million characters: their time should grow with the text.

Seconds are those of the stage's own work, without the start of Python. The exponent is the slope of
a straight line through their logarithms: 1 is linear growth, 2 quadratic growth.
"""

from pathlib import Path
from typing import Any

import numpy as np
from bench.corpus import write_novels
from bench.prepare import LIMITS
from bench.rounds import Measurement, Runs, in_turn, quantity, table
from bench.stage_run import run_script, write_params

SIZES = (1_000_000, 4_000_000, 16_000_000)
STAGES = ("prepare", "summarize", "merge")
MEMORY = "{}_mebibytes"
ROUNDS = 3
MOST = 1.1
"""An exponent above this is a defect."""

PARAMS = {
    "prepare": {"processes": 1},
    # Texts that are drawn from so small a sample repeat some of its phrases.
    "merge": {"max_train_rows": 10**9, "max_leakage": 1.0},
    "novel": {"prepare": {"passages": LIMITS}, "merge": {"group_by": "row"}},
}


def measure(folder: Path, scale: float) -> dict[str, Any]:
    """Each data stage on the output of the stage before, for each size."""
    sizes = [round(size * scale) for size in SIZES]

    def stages(size: int) -> Measurement:
        within, measured = folder / str(size), {}
        for stage in STAGES:
            raw = [within / "raw"] if stage == "prepare" else []
            log = run_script(within, stage, "novel", *raw)
            measured |= {stage: log["seconds"], MEMORY.format(stage): log["peak_mebibytes"]}
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
    """The median seconds for each size, at least half of the clock's hundredth."""
    return [max(0.005, quantity(own, stage).median) for own in runs.values()]


def exponents(runs: Runs) -> dict[str, float]:
    """The fitted exponent of each stage that was measured."""
    (first, *_), *_ = runs.values()
    stages = [name for name in first if MEMORY.format(name) in first]
    sizes = [float(size) for size in runs]
    return {stage: exponent(sizes, medians(runs, stage)) for stage in stages}


def tables(result: dict[str, Any]) -> list[str]:
    """Seconds for each size, the exponent, and memory."""
    runs: Runs = result["runs"]
    rows = []
    for stage, slope in exponents(runs).items():
        seconds = [quantity(own, stage).shown(2) for own in runs.values()]
        memory = max(quantity(own, MEMORY.format(stage)).high for own in runs.values())
        rows.append([f"`{stage}`", *seconds, f"**{slope:.2f}**", f"{memory:.0f}"])
    sizes = [f"{int(size) / 1e6:g} million (s)" for size in runs]
    return [table(["", *sizes, "exponent", "most memory (MiB)"], rows)]
