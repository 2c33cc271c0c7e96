"""Prompts for millions of rows by batch files: seconds, memory and disk of each step.

python -m bench.answers 1000000 > bench/answers.md

Rows are made up, of 30 characters. A stand-in takes the place of the queue: its results come in
another order, one in a thousand is missing and one has failed. Each row must end with the answer to
its own passage, and no request may go out twice after it was answered. A step's memory is that of
its process.
"""

import json
import random
import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.rounds import table
from bench.stage_run import ROOT, run, write_params
from bench.tree_memory import watched

from wenmo.core.records import Row, read_json_lines, row_id, write_json_lines
from wenmo.core.row_files import SourceWriter, rows_of_sources

OF_SOURCE = 100_000
"""Rows per source."""

SHUFFLED = 10_000
"""Results that change places among one another."""

SIGNS = [chr(code) for code in range(0x4E00, 0x5600)]

PARAMS = {
    "tasks": ["novel"],
    "endpoints": {"queue": {"base_url": "http://127.0.0.1:9/v1", "model": "m"}},
    "summarize": {"provider": "queue", "max_attempts": 1},
}


def rows(count: int) -> Iterator[Row]:
    """Rows without a prompt, no two with the same text."""
    draw = random.Random(0)
    for number in range(count):
        text = f"{number}" + "".join(draw.choices(SIGNS, k=30 - len(f"{number}")))
        source = f"书{number // OF_SOURCE:05}"
        yield Row(row_id(source, text), source, number % OF_SOURCE, "", "", text)


def answered(requests: list[Path], results: Path, perfect: bool) -> None:
    """What a queue makes of request files: the last file comes first, and not all come."""
    draw = random.Random(1)

    def lines() -> Iterator[dict[str, Any]]:
        for path in reversed(requests):
            found = read_json_lines(path)
            while some := [line for _, line in islice(found, SHUFFLED)]:
                draw.shuffle(some)
                for line in some:
                    luck = draw.randrange(1000)
                    if perfect or luck > 1:
                        yield result(line)
                    elif luck:
                        yield {"custom_id": line["custom_id"], "error": {"code": "stand-in"}}

    write_json_lines(results, lines())


def result(line: dict[str, Any]) -> dict[str, Any]:
    """The stand-in's answer: the number that the passage begins with."""
    text = line["body"]["messages"][-1]["content"]
    number = text[: -len(text.lstrip("0123456789"))]
    choice = {"message": {"content": f"第{number}行"}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 30, "completion_tokens": 5}
    body = {"model": "m", "choices": [choice], "usage": usage}
    return {"custom_id": line["custom_id"], "response": {"status_code": 200, "body": body}}


def refuse_wrong_rows(folder: Path, count: int) -> None:
    """End the benchmark unless every row has the answer to its own passage, in order."""
    found = 0
    for row in rows_of_sources(folder / "data/summarized/novel", "summarize@novel"):
        number = int(row.input.strip("第行"))
        if number != found or not row.output.startswith(f"{number}"):
            sys.exit(f"row {found} has the prompt {row.input!r}")
        found += 1
    if found != count:
        sys.exit(f"{found} of {count} rows")


def measured(folder: Path, count: int) -> Iterator[list[str]]:
    """A line of the table per step."""
    environment = {"WENMO_STORE": str(folder / "answers.sqlite")}
    wenmo = [sys.executable, "-c", "from wenmo.tools.cli import app; app()"]

    def step(name: str, work: Callable[[], Any], of: int) -> list[str]:
        started = time.monotonic()
        with watched() as peak:
            work()
        seconds = time.monotonic() - started
        return [name, f"{of:,}", f"{seconds:.0f}", f"{of / seconds:,.0f}", f"{peak.mebibytes:.0f}"]

    def command(*arguments: str | Path) -> Callable[[], str]:
        return lambda: run(folder, [*wenmo, "batch", *arguments], environment)

    def requests(name: str) -> list[Path]:
        files = sorted(folder.glob(f"{name}*.jsonl"), key=lambda path: len(path.name))
        return sorted(files, key=lambda path: int(f"0{path.stem.partition('.')[2]}"))

    write_params(folder, PARAMS)
    (folder / "data/prepared/novel").mkdir(parents=True)
    with SourceWriter(folder / "data/prepared/novel") as writer:
        writer.write(rows(count))
    yield step("`wenmo batch export`", command("export", "novel", "requests.jsonl"), count)
    files = requests("requests")
    answered(files, folder / "results.jsonl", perfect=False)
    for path in files:
        path.unlink()
    yield step("`wenmo batch import`", command("import", "results.jsonl"), count)
    (folder / "results.jsonl").unlink()
    yield step(
        "`wenmo batch export`, what is missing", command("export", "novel", "b.jsonl"), count
    )
    answered(requests("b"), folder / "results.jsonl", perfect=True)
    missing = sum(1 for _ in read_json_lines(folder / "results.jsonl"))
    yield step(
        "`wenmo batch import`, what was missing", command("import", "results.jsonl"), missing
    )
    script = [sys.executable, ROOT / "stages/summarize.py", "novel"]
    yield step("`summarize`, from the store", lambda: run(folder, script, environment), count)
    refuse_wrong_rows(folder, count)
    log = json.loads((folder / "logs/summarize/novel.json").read_text())
    if log["calls"]:
        sys.exit(f"summarize asked {log['calls']} times")
    size = (folder / "answers.sqlite").stat().st_size
    yield ["the store", f"{count:,}", "", f"{size / count:.0f} bytes per answer", ""]
    write_params(folder, {"summarize": {"provider": "offline"}})
    yield step("`summarize`, offline", lambda: run(folder, script, environment), count)


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", type=int)
    parser.add_argument("--folder", type=Path, help="where there is space (default: /tmp)")
    arguments = parser.parse_args()
    with TemporaryDirectory(dir=arguments.folder) as name:
        lines = list(measured(Path(name), arguments.rows))
    heads = ["step", "rows", "seconds", "rows per second", "memory (MiB)"]
    print(f"`python -m bench.answers {arguments.rows}`\n\n{table(heads, lines)}")
