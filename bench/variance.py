"""The spread of repeated runs of the same training, generation and scoring on this machine.

python -m bench.variance --runs 3                   # of poetry; 5 by default
python -m bench.variance --task novel --runs 10
"""

import json
import shutil
from argparse import ArgumentParser
from pathlib import Path
from statistics import pstdev
from tempfile import TemporaryDirectory
from typing import Any

from bench.rounds import spread, table
from bench.stage_run import ROOT, run_script
from tqdm import trange

from wenmo.config.params_file import TASKS
from wenmo.tools.dvc_lock import md5

STAGES = ("train", "merge_weights", "baseline", "generate", "evaluate")
MADE = ("models/adapters", "models/merged", "outputs")


def run(task: str, folder: Path) -> dict[str, Any]:
    """The hashes of the outputs, the tuned model's scores and training's log."""
    shutil.copy2(ROOT / "params.yaml", folder)
    for name in ("models/base", f"data/merged/{task}", f"data/test/{task}.jsonl"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(ROOT / name)
    log, *_ = (run_script(folder, stage, task) for stage in STAGES)
    scores = json.loads((folder / f"metrics/evaluate/{task}.json").read_text(encoding="utf-8"))
    hashes = {f"`{name}/{task}`": md5(folder / name / task) for name in MADE}
    return {"scores": scores["tuned"], "hashes": hashes, "log": log}


def main() -> None:
    """Run and print the tables."""
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", choices=TASKS, default="poetry")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    runs = []
    for _ in trange(options.runs, desc=options.task, unit="run"):
        with TemporaryDirectory() as folder:
            runs.append(run(options.task, Path(folder)))
    first = runs[0]
    versions = [[name, f"{len({r['hashes'][name] for r in runs})}"] for name in first["hashes"]]
    scores = {name: [run["scores"][name] for run in runs] for name in first["scores"]}
    spreads = [
        [name, spread(all_).shown(4), f"{pstdev(all_):.4f}"] for name, all_ in scores.items()
    ]
    print(f"`python -m bench.variance --task {options.task} --runs {options.runs}`\n")
    print("{hardware}, {number_format}, threads: {threads}\n".format(**first["log"]))
    print(table(["", "versions in all runs"], versions), end="\n\n")
    print(table(["score of tuned", "median (range)", "standard deviation"], spreads))


if __name__ == "__main__":
    main()
