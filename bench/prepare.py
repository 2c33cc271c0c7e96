"""prepare beside the novel baseline's splitter: speed, memory, and the passages' quality.

Both read 10 million characters and write their passages; the start of Python is timed with them.
The splitter cleans nothing, loses every 。 and cuts closing quotes off: the second table shows it.

python -m bench.prepare data/raw/novel > bench/prepare.md     on real novels
"""

from argparse import ArgumentParser
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench import machine
from bench.corpus import write_novels
from bench.rounds import Measurement, contender_table, in_turn, quantity, rate, ratio, table
from bench.stage_run import run_module, run_script, write_params

from wenmo.core.records import read_json_lines
from wenmo.text.sentences import CLOSING_QUOTES, quotes_balance

CHARACTERS = 10_000_000
LIMITS = {"target": 800, "minimum": 600, "maximum": 900}
ROUNDS = 3
SPLITTER, ONE, TWO = "the baseline's splitter", "wenmo, 1 process", "wenmo, 2 processes"


def measure(folder: Path, scale: float) -> dict[str, Any]:
    """The splitter, and wenmo with one process and with two, on drawn books."""
    write_novels(folder / "raw", round(CHARACTERS * scale))
    return compare(folder / "raw", folder)


def compare(raw: Path, folder: Path) -> dict[str, Any]:
    """The same on any folder with a train.jsonl."""
    books = (book["text"] for _, book in read_json_lines(raw / "train.jsonl"))
    done: Measurement = {"characters": sum(map(len, books))}
    for processes in (1, 2):
        of_novel = {"prepare": {"passages": LIMITS}}
        params = {"prepare": {"processes": processes}, "novel": of_novel}
        write_params(folder / f"{processes}", params)

    def split() -> Measurement:
        return done | run_module(folder, "bench.peers.splitter", raw, folder / "split.jsonl")

    def prepare(processes: int) -> Measurement:
        log = run_script(folder / f"{processes}", "prepare", "novel", raw)
        return done | {"peak_mebibytes": log["peak_mebibytes"]}

    contenders = {SPLITTER: split, ONE: lambda: prepare(1), TWO: lambda: prepare(2)}
    runs = in_turn(contenders, ROUNDS, "prepare")
    prepared = sorted((folder / "1/data/prepared/novel").glob("*.jsonl"))
    passages = {SPLITTER: quality([folder / "split.jsonl"]), "wenmo": quality(prepared)}
    return {"runs": runs, "passages": passages}


def quality(files: list[Path]) -> Measurement:
    """The number of passages, the longest, and two shares: orphaned quotes, balanced quotes."""
    passages = [row["output"] for path in files for _, row in read_json_lines(path)]
    orphans = sum(passage.strip().startswith(tuple(CLOSING_QUOTES)) for passage in passages)
    return {
        "passages": len(passages),
        "longest": max(map(len, passages)),
        "orphans": orphans / len(passages),
        "balanced": sum(map(quotes_balance, passages)) / len(passages),
    }


def tables(result: dict[str, Any]) -> list[str]:
    """Speed, and the passages' quality."""
    runs = result["runs"]
    columns = {
        "seconds": lambda own: quantity(own).shown(),
        "characters per second": lambda own: rate(own, "characters").shown(0),
        "times the baseline": lambda own: ratio(own, runs[SPLITTER], "characters").shown(3),
        "memory (MiB)": lambda own: f"{quantity(own, 'peak_mebibytes').high:.0f}",
    }
    shown = ("{passages:,}", "{longest:,}", "{orphans:.1%}", "{balanced:.1%}")
    rows = [
        [name, *(cell.format(**found) for cell in shown)]
        for name, found in result["passages"].items()
    ]
    heads = ["", "passages", "longest", "open with a closing quote", "quotes balance"]
    return [contender_table(runs, columns), table(heads, rows)]


def main() -> None:
    """Print the tables for a folder of real novels."""
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("raw", type=Path, help="a folder with a train.jsonl, one book per line")
    raw = parser.parse_args().raw.resolve()
    described = machine.in_words(machine.describe())
    with TemporaryDirectory() as folder:
        result = compare(raw, Path(folder))
    print("`python -m bench.prepare data/raw/novel > bench/prepare.md`\n")
    print(f"{result['runs'][ONE][0]['characters']:,} characters, on {described}\n")
    print("\n\n".join(tables(result)))


if __name__ == "__main__":
    main()
