"""prepare beside the novel baseline's splitter: characters a second, memory, what the passages are.

Both read 10 million characters and write their passages, start of Python included. The splitter
cleans nothing, loses every 。 and cuts closing quotes off; the second table shows it.

python -m bench.prepare data/raw/novel > bench/prepare.md     on real novels
"""

import json
from argparse import ArgumentParser
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench import machine, markdown
from bench.corpus import write_novels
from bench.markdown import Table
from bench.rounds import Measurement, Runs, duration, in_turn, rates, spread, times_faster
from bench.stage_run import run_python, run_stage, write_params

from wenmo.core.records import read_json_lines
from wenmo.text.sentences import CLOSING_QUOTES, quotes_balance

CHARACTERS = 10_000_000
LIMITS = {"target": 800, "minimum": 600, "maximum": 900}
ROUNDS = 3


def measure(folder: Path, scale: float) -> dict[str, Any]:
    """The splitter, and wenmo with one process and with two, on drawn books."""
    write_novels(folder / "raw", round(CHARACTERS * scale))
    return compare(folder / "raw", folder)


def compare(raw: Path, folder: Path) -> dict[str, Any]:
    """The same on any folder with a train.jsonl."""
    books = (book["text"] for _, book in read_json_lines(raw / "train.jsonl"))
    done = {"characters": sum(map(len, books))}

    def split() -> Measurement:
        output = folder / "split.jsonl"
        cost = run_python(folder, "-m", "bench.peers.splitter", raw, output)
        return done | {"seconds": cost["seconds"]} | json.loads(cost["stdout"])

    def prepare(processes: int) -> Measurement:
        within = folder / f"{processes}"
        passages = {"novel": {"prepare": {"passages": LIMITS}}}
        write_params(within, passages | {"prepare": {"processes": processes}})
        cost = run_stage(within, "prepare", "novel", raw)
        memory = cost["log"]["peak_mebibytes"]
        return done | {"seconds": cost["seconds"], "peak_mebibytes": memory}

    contenders = {
        "the baseline's splitter": split,
        "wenmo, 1 process": lambda: prepare(1),
        "wenmo, 2 processes": lambda: prepare(2),
    }
    runs = in_turn(contenders, ROUNDS, "prepare")
    texts = {
        "the baseline's splitter": passages_of([folder / "split.jsonl"]),
        "wenmo": passages_of(sorted((folder / "1/data/prepared/novel").glob("*.jsonl"))),
    }
    return {"runs": runs, "passages": {name: quality(found) for name, found in texts.items()}}


def passages_of(files: list[Path]) -> list[str]:
    """The passages in JSON Lines."""
    return [row["output"] for path in files for _, row in read_json_lines(path)]


def quality(passages: list[str]) -> dict[str, float]:
    """How many there are, the longest, and the shares that open with an orphan or balance."""
    orphans = sum(passage.strip().startswith(tuple(CLOSING_QUOTES)) for passage in passages)
    return {
        "passages": len(passages),
        "longest": max(map(len, passages)),
        "orphans": orphans / len(passages),
        "balanced": sum(map(quotes_balance, passages)) / len(passages),
    }


def tables(result: dict[str, Any]) -> list[Table]:
    """Speed, and what the passages are."""
    runs: Runs = result["runs"]
    baseline = runs["the baseline's splitter"]
    speed = [
        [
            name,
            duration(of_one).shown(),
            spread(rates(of_one, "characters")).shown(0),
            times_faster(of_one, baseline, "characters").shown(3),
            f"{max(run['peak_mebibytes'] for run in of_one):.0f}",
        ]
        for name, of_one in runs.items()
    ]
    cut = [
        [
            name,
            f"{found['passages']:,}",
            f"{found['longest']:,}",
            f"{found['orphans']:.1%}",
            f"{found['balanced']:.1%}",
        ]
        for name, found in result["passages"].items()
    ]
    return [
        (["", "seconds", "characters a second", "times the baseline", "memory (MiB)"], speed),
        (["", "passages", "longest", "open with a closing quote", "quotes balance"], cut),
    ]


def main() -> None:
    """Print the tables for a folder of one's own."""
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("raw", type=Path, help="a folder with a train.jsonl, one book a line")
    raw = parser.parse_args().raw.resolve()
    described = machine.sentence(machine.describe())
    with TemporaryDirectory() as folder:
        result = compare(raw, Path(folder))
    characters = next(iter(result["runs"].values()))[0]["characters"]
    print("`python -m bench.prepare data/raw/novel > bench/prepare.md`\n")
    print(f"{characters:,} characters, on {described}")
    for each in tables(result):
        print(f"\n{markdown.table(each)}")


if __name__ == "__main__":
    main()
