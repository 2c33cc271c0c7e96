"""The spread of repeated runs of the same training, generation and scoring on this machine.

python -m bench.variance --runs 3                   # of poetry; 5 by default
python -m bench.variance --task novel --runs 10
"""

import json
from argparse import ArgumentParser
from pathlib import Path
from statistics import pstdev
from tempfile import TemporaryDirectory
from typing import Any

from bench.rounds import spread, table
from bench.stage_run import ROOT, run_script, write_params
from tqdm import trange

from wenmo.config.params_file import TASKS, read
from wenmo.model.provenance import settings_digest, sha256

STAGES = ("summarize", "merge", "train", "merge_weights", "baseline", "generate", "evaluate")
MADE = ("models/adapters", "models/merged", "outputs")


def run(task: str, folder: Path, update: dict[str, Any]) -> dict[str, Any]:
    """The hashes of the outputs, the tuned model's scores and training's log.

    `update` is what differs from params.yaml. All stages run in `folder`, without DVC.
    """
    write_params(folder, update)
    (folder / "pretrained").symlink_to(ROOT / "pretrained")
    run_script(folder, "base_model")
    run_script(folder, "prepare", task, ROOT / read(ROOT / "params.yaml")["data_dir"] / task)
    logs = {stage: run_script(folder, stage, task) for stage in STAGES}
    scores = json.loads((folder / f"metrics/evaluate/{task}.json").read_text(encoding="utf-8"))
    hashes = {f"`{name}/{task}`": digest(folder / name / task) for name in MADE}
    return {"scores": scores["tuned"], "hashes": hashes, "log": logs["train"]}


def digest(folder: Path) -> str:
    """The sha256 of all files of a folder, names included."""
    files = [each for each in folder.rglob("*") if each.is_file()]
    return settings_digest({str(each.relative_to(folder)): sha256(each) for each in files})


def main() -> None:
    """Run and print the tables."""
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", choices=TASKS, default="poetry")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    runs = []
    for _ in trange(options.runs, desc=options.task, unit="run"):
        with TemporaryDirectory() as folder:
            runs.append(run(options.task, Path(folder), {}))
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
