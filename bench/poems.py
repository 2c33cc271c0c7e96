"""The Tang and Song poems of chinese-poetry through prepare and merge: time, memory, rows, drops.

python -m bench.poems data/raw/poetry
python -m bench.poems data/raw/poetry --sample 100     the same, and what to read, on stderr

The folder is 全唐诗 of a clone of https://github.com/chinese-poetry/chinese-poetry. Drops are
sampled from every reason in turn, rows from all. bench/poems.md tells what a reading found.
"""

import json
import random
import re
import resource
import sys
from argparse import ArgumentParser
from collections import Counter, defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.growth import STAGES
from bench.rounds import table
from bench.stage_run import run_script, write_params
from bench.tree_memory import watched

from wenmo.core.records import read_json_lines

TASK = "poetry"
PARAMS = {
    "prepare": {"processes": 1},
    "merge": {"max_train_rows": 10**9, "max_eval_rows": 10**9},
}
SEED = 19
_WANTED = re.compile(r"(?:写一首|填一首)(.+?)。$")


def run_stages(folder: Path, raw: Path) -> list[list[str]]:
    """A row per stage: seconds of the clock and of the processor, and memory in MiB."""
    rows = []
    for stage in STAGES:
        before = _processor_seconds()
        with watched() as peak:
            log = run_script(folder, stage, TASK, *([raw] if stage == "prepare" else []))
        used = _processor_seconds() - before
        most = max(peak.mebibytes, log["peak_mebibytes"])
        rows.append([f"`{stage}`", f"{log['seconds']:.1f}", f"{used:.1f}", f"{most:.0f}"])
    return rows


def rows_by_form(folder: Path) -> Counter[str]:
    """How many rows of prepare ask for each form; poems to a tune are one form."""
    found = Counter[str]()
    for path in sorted((folder / f"data/prepared/{TASK}").glob("*.jsonl")):
        for _, row in read_json_lines(path):
            wanted = _WANTED.search(row["instruction"])
            form = wanted[1] if wanted else row["instruction"]
            found["a poem to a tune" if form.startswith("《") else form] += 1
    return found


def report(folder: Path, stages: list[list[str]]) -> str:
    """The measurements as Markdown."""
    prepared, merged = (_metrics(folder, stage) for stage in ("prepare", "merge"))
    forms = rows_by_form(folder).most_common()
    drops = [
        [reason, f"{count:,}", f"{prepared['dropped_characters'].get(reason, 0):,}"]
        for reason, count in Counter(prepared["dropped_rows"]).most_common()
    ]
    kept = [[name, f"{merged[name]:,}"] for name in ("train", "eval")]
    kept += [[reason, f"{count:,}"] for reason, count in merged["dropped"].items() if count]
    heads = ["", "seconds", "processor seconds", "memory (MiB)"]
    return "\n\n".join(
        (
            "`python -m bench.poems data/raw/poetry`",
            f"{prepared['documents']:,} poems, {prepared['characters_read']:,} characters;"
            f" {prepared['rows']:,} rows. Each stage in one process.",
            table(heads, stages),
            table(("form", "rows"), [[form, f"{count:,}"] for form, count in forms]),
            table(("left out by prepare", "poems", "characters"), drops),
            table(("merge", "rows"), kept),
        )
    )


def sample(folder: Path, size: int) -> str:
    """A seeded sample of rows and of drops to read, `size` of each."""
    draw = random.Random(SEED)
    rows = [
        f"{row['instruction']} | {row['output']}"
        for path in sorted((folder / f"data/prepared/{TASK}").glob("*.jsonl"))
        for _, row in read_json_lines(path)
    ]
    drops = defaultdict(list)
    for _, piece in read_json_lines(folder / f"data/rejected/{TASK}.jsonl"):
        drops[piece["reason"]].append(f"{piece['source']} {piece['document']} | {piece['text']}")
    lines = draw.sample(rows, min(size, len(rows)))
    for reason, own in sorted(drops.items()):
        share = min(-(-size // len(drops)), len(own))
        lines += [f"{reason} | {each}" for each in draw.sample(own, share)]
    return "\n".join(line.replace("\n", "") for line in lines)


def _metrics(folder: Path, stage: str) -> dict[str, Any]:
    content = (folder / f"metrics/{stage}/{TASK}.json").read_text(encoding="utf-8")
    return dict(json.loads(content))


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Run the stages in a temporary folder and print what came of it."""
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("raw", type=Path)
    parser.add_argument("--sample", type=int, default=0, help="rows and drops to print on stderr")
    arguments = parser.parse_args()
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_params(folder, PARAMS)
        print(report(folder, run_stages(folder, arguments.raw.resolve())))
        if arguments.sample:
            print(sample(folder, arguments.sample), file=sys.stderr)


if __name__ == "__main__":
    main()
