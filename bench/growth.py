"""The data stages on 1, 4 and 16 million characters: time grows with the text, memory does not.

Seconds are those of the stage's own work, without the start of Python. The exponent is the slope of
a straight line through their logarithms: 1 is linear growth, 2 quadratic growth. Memory is that of
all processes of a stage.

python -m bench.growth data/raw/novel --times 1 4 16 64     real novels and changed copies of them
python -m bench.growth data/raw/poetry --task poetry        a collection as it is
"""

import json
import random
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from bench.corpus import write_novels
from bench.prepare import LIMITS
from bench.rounds import Measurement, Runs, in_turn, quantity, table
from bench.stage_run import run_script, write_params
from bench.tree_memory import watched

from wenmo.core.records import read_json_lines, write_json_lines

SIZES = (1_000_000, 4_000_000, 16_000_000)
STAGES = ("prepare", "summarize", "merge")
MEMORY = "{}_mebibytes"
ROUNDS = 3
MOST = 1.1
"""An exponent above this is a defect."""

COMMON = [
    chr(code)
    for code in range(0x4E00, 0x9FA6)
    if chr(code) not in "的了着之乎者也第章回节卷一二三四五六七八九十百零"
]
"""Han characters that may be changed."""

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
        return run_stages(folder / str(size), "novel", folder / str(size) / "raw")

    for size in sizes:
        write_params(folder / str(size), PARAMS)
        write_novels(folder / str(size) / "raw", size)
    contenders = {str(size): lambda size=size: stages(size) for size in sizes}
    return {"runs": in_turn(contenders, ROUNDS, "growth")}


def run_stages(folder: Path, task: str, raw: Path) -> Measurement:
    """Seconds and memory of each data stage, run one after the other in a folder."""
    measured: Measurement = {}
    for stage in STAGES:
        with watched() as peak:
            log = run_script(folder, stage, task, *([raw] if stage == "prepare" else []))
        most = max(peak.mebibytes, log["peak_mebibytes"])
        measured |= {stage: log["seconds"], MEMORY.format(stage): most}
    return measured


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


def changed_copies(books: Path, times: int) -> Iterator[dict[str, str]]:
    """The books of a train.jsonl, and after them copies in which a third of all signs are others.

    No passage of a copy is a near-duplicate. Punctuation, headings and the signs that tell
    vernacular from classical prose stay.
    """
    for copy in range(times):
        draw = random.Random(copy)
        changed = draw.sample(COMMON, len(COMMON) // 3) if copy else []
        other = str.maketrans(dict(zip(changed, changed[1:] + changed[:1], strict=True)))
        for _, book in read_json_lines(books):
            name = f"{book['name']} {copy}" if copy else book["name"]
            yield {"name": name, "text": book["text"].translate(other)}


def main() -> None:
    """Print seconds, rows per second and memory of each stage for a folder of raw texts."""
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("raw", type=Path)
    parser.add_argument("--task", default="novel")
    parser.add_argument("--times", type=int, nargs="+", default=[1])
    parser.add_argument("--folder", type=Path, help="where there is space (default: /tmp)")
    arguments = parser.parse_args()
    lines = []
    for times in arguments.times:
        with TemporaryDirectory(dir=arguments.folder) as name:
            folder = Path(name)
            of_novel = {"prepare": {"passages": LIMITS}}
            merge = {"max_train_rows": 10**9, "max_leakage": 1.0}
            write_params(folder, {"merge": merge, "novel": of_novel})
            raw = arguments.raw.resolve()
            if times > 1:
                copies = changed_copies(raw / "train.jsonl", times)
                raw = folder / "raw"
                write_json_lines(raw / "train.jsonl", copies)
            measured = run_stages(folder, arguments.task, raw)
            rows = json.loads((folder / f"metrics/prepare/{arguments.task}.json").read_text())[
                "rows"
            ]
            for stage in STAGES:
                seconds, memory = measured[stage], measured[MEMORY.format(stage)]
                cells = [f"{rows:,}", f"{seconds:.1f}", f"{rows / seconds:,.0f}", f"{memory:.0f}"]
                lines.append([f"`{stage}`", str(times), *cells])
    heads = ["", "times", "rows", "seconds", "rows per second", "memory (MiB)"]
    print(table(heads, lines))


if __name__ == "__main__":
    main()
