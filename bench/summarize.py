"""How fast summarize asks an endpoint for prompts, beside the baseline's loop.

python -m bench.summarize > bench/summarize.md

The endpoint is the stand-in of the tests, on loopback, with 200 ms latency. The baseline is that of
the novel challenge: one call after another and 0.3 s of sleep between them; it is run on a slice.
Each row gives the median and the range of three runs.
"""

import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from openai import OpenAI
from tests.fault_server import Faults, FaultServer

from wenmo import params
from wenmo.llm.client import Usage
from wenmo.llm.dialogue import first_request
from wenmo.llm.params import SummarizeParams
from wenmo.llm.prompt_writer import write_prompts
from wenmo.llm.store import LOCATION
from wenmo.records import Row

ROOT = Path(__file__).parents[1]
RUNS = 3
ROWS = 1000
SLICE = 10
LATENCY = 0.2
SLEEP = 0.3
FAULTS = Faults(latency=LATENCY, too_many=0.05, server_error=0.02, truncated=0.02, empty=0.05)


def rows(count: int) -> list[Row]:
    """Rows without a prompt, each with another text of 800 characters."""
    return [Row(str(n), "s", n, "", "", f"第{n}个人走进了雪里。" * 70) for n in range(count)]


def summarize_params(url: str) -> SummarizeParams:
    """The section of params.yaml, with the server for an endpoint."""
    section = params.read(ROOT / "params.yaml")["summarize"]
    endpoint = section["endpoints"]["vllm"] | {"base_url": url}
    update = {"provider": "vllm", "endpoints": {"vllm": endpoint}, "max_attempts": 8}
    return SummarizeParams.model_validate(section | update)


def baseline(url: str) -> None:
    """One call after another, with a pause between them."""
    client = OpenAI(base_url=url, api_key="none")
    settled = summarize_params(url)
    for row in rows(SLICE):
        client.chat.completions.create(**first_request(row.output, settled))
        time.sleep(SLEEP)


def ours(url: str) -> None:
    """write_prompts on all rows; what is in the store by then is not asked."""
    prompted = write_prompts(rows(ROWS), summarize_params(url), Usage())
    if prompted.failures:
        sys.exit(f"{len(prompted.failures)} rows got no prompt")


def measure(work: Callable[[str], None], faults: Faults, again: bool = False) -> list[float]:
    """Seconds of each run, from an empty store or, `again`, from a full one."""
    seconds = []
    for _ in range(RUNS):
        with FaultServer(faults) as server, TemporaryDirectory() as folder:
            os.environ[LOCATION] = f"{folder}/answers.sqlite"
            if again:
                work(server.url)
            started = time.perf_counter()
            work(server.url)
            seconds.append(time.perf_counter() - started)
    return seconds


if __name__ == "__main__":
    quiet = Faults(latency=LATENCY)
    print("`python -m bench.summarize > bench/summarize.md`\n")
    print(
        f"{ROWS:,} rows of about 800 characters, {LATENCY * 1000:.0f} ms latency,"
        f" {os.cpu_count()} cores\n"
    )
    print("| | seconds | rows a second | times the baseline |\n|:--|--:|--:|--:|")
    speeds = {}
    for name, seconds, count in (
        (f"baseline, {SLICE} rows", measure(baseline, quiet), SLICE),
        ("wenmo", measure(ours, quiet), ROWS),
        ("wenmo, 9% of calls failing, 5% of answers empty", measure(ours, FAULTS), ROWS),
        ("wenmo, second run", measure(ours, quiet, again=True), ROWS),
    ):
        median = statistics.median(seconds)
        speeds[name] = count / median
        times = speeds[name] / next(iter(speeds.values()))
        spread = f"{median:.2f} ({min(seconds):.2f} to {max(seconds):.2f})"
        print(f"| {name} | {spread} | {speeds[name]:,.1f} | {times:,.0f} |")
