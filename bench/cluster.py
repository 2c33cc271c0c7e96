"""The data stages by a pool of processes, and by a Ray node with as many cores on this machine.

python -m bench.cluster data/raw/novel --times 1 20 > bench/cluster.md

One node computes no more than the pool, so that the difference is what the cluster costs: reaching
it, bringing the code along, and sending texts and rows. The files of both ways must be the same.
"""

import hashlib
import os
import shutil
import sys
from argparse import ArgumentParser
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.growth import changed_copies
from bench.machine import describe, in_words
from bench.prepare import LIMITS
from bench.rounds import table
from bench.stage_run import run_script, write_params

from wenmo.core.cluster import VARIABLE
from wenmo.core.records import write_json_lines

STAGES = ("prepare", "summarize", "merge")

ONE_MACHINE, CLUSTER = "here", "Ray"

PARAMS = {
    "merge": {"max_train_rows": 10**9, "max_leakage": 1.0},
    "novel": {"prepare": {"passages": LIMITS}},
}

# Ray reads them when it is imported: no message to its makers, and no port beyond the loopback.
os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}


def run_stages(folder: Path, raw: Path, address: str) -> dict[str, float]:
    """Seconds of each data stage in a folder of its own."""
    os.environ[VARIABLE] = address
    write_params(folder, PARAMS)
    return {
        stage: run_script(folder, stage, "novel", *([raw] if stage == "prepare" else []))["seconds"]
        for stage in STAGES
    }


def digest(folder: Path) -> str:
    """One digest of all that the stages wrote."""
    whole = hashlib.sha256()
    for path in sorted((folder / "data").rglob("*.jsonl")):
        with path.open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()


def compared(raw: Path, folder: Path, address: str) -> list[list[str]]:
    """Lines of the table: each stage's seconds here and on the cluster."""
    seconds, digests = {}, {}
    for name, where in ((ONE_MACHINE, ""), (CLUSTER, address)):
        seconds[name] = run_stages(folder / name, raw, where)
        digests[name] = digest(folder / name)
        shutil.rmtree(folder / name)
    if len({*digests.values()}) > 1:
        sys.exit(f"the files differ: {digests}")
    return [
        [f"`{stage}`", *(f"{seconds[name][stage]:.1f}" for name in (ONE_MACHINE, CLUSTER))]
        for stage in STAGES
        if stage != "summarize"  # no cluster has a part in it
    ]


def main() -> None:
    """Print the table as Markdown."""
    from ray.cluster_utils import Cluster

    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("raw", type=Path)
    parser.add_argument("--times", type=int, nargs="+", default=[1])
    parser.add_argument("--folder", type=Path, help="where there is space (default: /tmp)")
    arguments = parser.parse_args()
    machine, lines = in_words(describe()), []
    # Without a number, such a node has one core.
    head = {"include_dashboard": False, "num_cpus": os.cpu_count()}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    for times in arguments.times:
        with TemporaryDirectory(dir=arguments.folder) as name:
            raw = Path(name) / "raw"
            books = list(changed_copies(arguments.raw / "train.jsonl", times))
            write_json_lines(raw / "train.jsonl", books)
            characters = sum(len(book["text"]) for book in books)
            del books
            found = compared(raw, Path(name), cluster.address)
            lines += [[f"{characters:,}", *line] for line in found]
    cluster.shutdown()
    command = (
        f"python -m bench.cluster {arguments.raw} --times {' '.join(map(str, arguments.times))}"
    )
    heads = ["characters", "", "on this machine (s)", "by one Ray node on it (s)"]
    print(f"`{command}`, on {machine}\n\n{table(heads, lines)}")


if __name__ == "__main__":
    main()
