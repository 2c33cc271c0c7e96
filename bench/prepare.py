"""How fast prepare cuts books into passages, and how well, beside the baseline's splitter.

python -m bench.prepare data/raw/novel > bench/prepare.md

The baseline is that of the novel challenge: split at every 。 and pack at most 800 characters.
Each row is timed from reading the file to having written the passages, start of Python included for
ours; the median and the range of three runs are given.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from ruamel.yaml import YAML

from wenmo.records import read_json_lines, write_json_lines
from wenmo.text.passages import CLOSING_QUOTES, quotes_balance

ROOT = Path(__file__).parents[1]
RUNS = 3
LIMITS = {"target": 800, "minimum": 600, "maximum": 900}


def baseline(data: Path, folder: Path) -> None:
    """Write the passages of split('。'), packed to 800 characters."""
    passages = []
    for line in (data / "train.jsonl").read_text(encoding="utf-8").splitlines():
        passage = ""
        for sentence in json.loads(line)["text"].split("。"):
            if passage and len(passage) + len(sentence) > LIMITS["target"]:
                passages.append(passage)
                passage = ""
            passage += sentence
        passages.append(passage)
    write_json_lines(folder / "data/prepared/novel/all.jsonl", ({"output": p} for p in passages))


def ours(processes: int) -> Callable[[Path, Path], None]:
    """The stage prepare with that many processes."""

    def prepare(data: Path, folder: Path) -> None:
        yaml = YAML()
        params = yaml.load((ROOT / "params.yaml").read_text(encoding="utf-8"))
        params["prepare"]["processes"] = processes
        params["novel"]["prepare"]["passages"].update(LIMITS)
        yaml.dump(params, folder / "params.yaml")
        subprocess.run(
            [sys.executable, ROOT / "stages/prepare.py", "novel", data],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
            stderr=subprocess.DEVNULL,
            check=True,
        )

    return prepare


def measure(prepare: Callable[[Path, Path], None], data: Path) -> tuple[list[float], list[str]]:
    """Seconds of each run, and the passages that the last one wrote."""
    seconds = []
    for _ in range(RUNS):
        with TemporaryDirectory() as folder:
            started = time.perf_counter()
            prepare(data, Path(folder))
            seconds.append(time.perf_counter() - started)
            files = sorted(Path(folder, "data/prepared/novel").glob("*.jsonl"))
            passages = [row["output"] for path in files for _, row in read_json_lines(path)]
    return seconds, passages


def table_row(name: str, seconds: list[float], characters: int, passages: list[str]) -> str:
    """A line of the table."""
    median = statistics.median(seconds)
    orphans = sum(passage.strip().startswith(tuple(CLOSING_QUOTES)) for passage in passages)
    balanced = sum(map(quotes_balance, passages))
    cells = (
        name,
        f"{median:.1f} ({min(seconds):.1f} to {max(seconds):.1f})",
        f"{characters / median:,.0f}",
        f"{len(passages):,}",
        f"{max(map(len, passages)):,}",
        f"{orphans / len(passages):.1%}",
        f"{balanced / len(passages):.1%}",
    )
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="a folder with train.jsonl, one book a line")
    data = parser.parse_args().data.resolve()
    lines = (data / "train.jsonl").read_text(encoding="utf-8").splitlines()
    characters = sum(len(json.loads(line)["text"]) for line in lines)
    cores = os.cpu_count()
    print("`python -m bench.prepare data/raw/novel > bench/prepare.md`\n")
    print(f"{len(lines)} books, {characters:,} characters, {cores} cores\n")
    print(
        "| | seconds | characters a second | passages | longest | open with a closing quote"
        " | quotes balance |\n|:--|--:|--:|--:|--:|--:|--:|"
    )
    for name, prepare in (
        ("baseline", baseline),
        ("wenmo, 1 process", ours(1)),
        ("wenmo, 2 processes", ours(2)),
    ):
        seconds, passages = measure(prepare, data)
        print(table_row(name, seconds, characters, passages))
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**10
    print(f"\nNone of wenmo's processes took more than {memory:.0f} MiB.")
