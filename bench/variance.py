"""How much repeated runs of the same training, writing and scoring differ on this machine.

python -m bench.variance --runs 3                   # of poetry; 5 by default
python -m bench.variance --task novel --runs 10
"""

import json
import shutil
import statistics
from argparse import ArgumentParser
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.stage_run import ROOT, run_stage
from tqdm import trange

from wenmo.config.params_file import TASKS
from wenmo.report.names import SCORE_NAMES
from wenmo.tools.dvc_lock import md5

STAGES = ("train", "merge_weights", "generate", "evaluate")
MADE = ("models/adapters", "models/merged", "outputs")


def run(task: str, folder: Path) -> dict[str, Any]:
    """What the stages make of the same inputs: hashes, the tuned model's scores, the code path."""
    shutil.copy2(ROOT / "params.yaml", folder)
    for name in ("models/base", f"data/merged/{task}", f"data/test/{task}.jsonl"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(ROOT / name)
    for stage in STAGES:
        run_stage(folder, stage, task)
    scores = json.loads((folder / f"metrics/{task}.json").read_text(encoding="utf-8"))["tuned"]
    log = json.loads((folder / f"logs/train/{task}.json").read_text(encoding="utf-8"))
    hashes = {f"{name}/{task}": md5(folder / name / task) for name in MADE}
    return {"scores": scores, "hashes": hashes, "log": log}


def main() -> None:
    """Run and print the table."""
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", choices=TASKS, default="poetry")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    runs = []
    for _ in trange(options.runs, desc=options.task, unit="run"):
        with TemporaryDirectory() as folder:
            runs.append(run(options.task, Path(folder)))
    log = runs[0]["log"]
    print(f"`python -m bench.variance --task {options.task} --runs {options.runs}`\n")
    print(f"{log['hardware']}, {log['number_format']}, threads: {log['threads']}\n")
    print("| | versions in all runs |")
    print("|:--|--:|")
    for name in runs[0]["hashes"]:
        print(f"| `{name}` | {len({run['hashes'][name] for run in runs})} |")
    print("\n| score of tuned | mean | standard deviation | range |")
    print("|:--|--:|--:|--:|")
    for name, label in SCORE_NAMES.items():
        values = [run["scores"][name] for run in runs if name in run["scores"]]
        if values:
            spread = statistics.stdev(values) if len(values) > 1 else 0
            told = f"{statistics.mean(values):.4f} | {spread:.4f}"
            print(f"| {label} | {told} | {min(values):.4f} to {max(values):.4f} |")


if __name__ == "__main__":
    main()
