"""Training from few and from millions of short rows: memory, seconds and the first losses.

python -m bench.training_rows 5000 5000000 > bench/training_rows.md

Rows are made up, of 30 characters, and the model is the tiny one of the tests. The first rows are
the same whatever their number is, and so is the held-out loss before the first step. The order is
drawn, so that the first steps see other rows. Memory without files' pages is what training needs;
the rest is libraries and the mapped file of token ids, which the system drops when memory is short.
"""

import csv
import json
from argparse import ArgumentParser
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.answers import rows
from bench.rounds import table
from bench.stage_run import ROOT, run_script, write_params
from bench.tree_memory import watched

from wenmo.core.records import write_records

HELD_OUT, STEPS = 100, 20

PARAMS: dict[str, Any] = {
    "tasks": ["novel"],
    "base_model": {"source": "tiny", "path": f"{ROOT}/data/sample/general"},
    "train": {
        "max_steps": STEPS,
        "packing": False,
        "logging_steps": 1,
        "eval_steps": STEPS,
        "save_steps": STEPS,
        "max_truncated": 0.0,
    },
}


def measured(folder: Path, count: int) -> list[str]:
    """A line of the table."""
    merged = folder / "data/merged/novel"
    merged.mkdir(parents=True, exist_ok=True)
    made = rows(HELD_OUT + count)
    write_records(merged / "eval.jsonl", (next(made) for _ in range(HELD_OUT)))
    write_records(merged / "train.jsonl", made)
    with watched() as peak:
        log = run_script(folder, "train", "novel")
    ledger = json.loads((folder / "metrics/train/novel.json").read_text(encoding="utf-8"))
    with (folder / "plots/train/novel/loss.tsv").open(encoding="utf-8") as file:
        losses = [float(line["loss"]) for line in csv.DictReader(file, delimiter="\t")]
    return [
        f"{count:,}",
        f"{log['seconds']:.0f}",
        f"{log['train_seconds']:.1f}",
        f"{max(peak.mebibytes, log['peak_mebibytes']):.0f}",
        f"{peak.own:.0f}",
        f"{ledger['eval_loss_at_start']:.4f}",
        ", ".join(f"{loss:.3f}" for loss in losses[:3]),
    ]


def main() -> None:
    """Build the tiny model once, and train it on each number of rows."""
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("counts", type=int, nargs="+")
    parser.add_argument("--folder", type=Path, help="where there is space (default: /tmp)")
    arguments = parser.parse_args()
    with TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        write_params(folder, PARAMS)
        run_script(folder, "base_model")
        lines = [measured(folder, count) for count in arguments.counts]
    heads = ["rows", "seconds", f"of them {STEPS} steps", "memory (MiB)", "without files' pages"]
    heads += ["held-out loss before them", "first losses"]
    counts = " ".join(map(str, arguments.counts))
    print(f"`python -m bench.training_rows {counts}`\n\n{table(heads, lines)}")


if __name__ == "__main__":
    main()
