"""summarize beside the novel baseline's loop, against an endpoint that answers after 200 ms.

The endpoint is the stand-in of the tests, on loopback. The baseline makes one call after another
with 0.3 s of sleep between them; it is run on a few rows. A second run finds all prompts in the
store of answers.
"""

import os
import sys
from pathlib import Path
from typing import Any

from bench.corpus import passages
from bench.markdown import Table
from bench.peers.summarizer import ask_one_by_one
from bench.rounds import Measurement, Runs, duration, in_turn, rates, spread, times_faster
from tests.fault_server import Faults, FaultServer

from wenmo.config import params_file
from wenmo.config.summarize import SummarizeParams
from wenmo.core.records import Row
from wenmo.llm.client import Usage
from wenmo.llm.dialogue import first_request
from wenmo.llm.prompt_writer import write_prompts
from wenmo.llm.store import LOCATION

ROOT = Path(__file__).parents[1]
ROWS, SLICE, LENGTH = 1000, 10, 800
ROUNDS = 3
QUIET = Faults(latency=0.2)
FAULTY = Faults(latency=0.2, too_many=0.05, server_error=0.02, truncated=0.02, empty=0.05)


def measure(folder: Path, scale: float) -> dict[str, Any]:
    """The baseline, and wenmo with a good endpoint, with a bad one and for a second time."""
    texts = passages(max(SLICE, round(ROWS * scale)), LENGTH)
    rows = [Row(str(n), "s", n, "", "", text) for n, text in enumerate(texts)]

    def baseline() -> Measurement:
        with FaultServer(QUIET) as server:
            settled = summarize_params(server.url)
            ask_one_by_one(server.url, (first_request(row.output, settled) for row in rows[:SLICE]))
        return {"rows": SLICE, "calls": SLICE}

    def ours(faults: Faults, store: Path) -> Measurement:
        os.environ[LOCATION] = str(store)
        usage = Usage()
        with FaultServer(faults) as server:
            prompted = write_prompts(rows, summarize_params(server.url), usage)
        if prompted.failures:
            sys.exit(f"{len(prompted.failures)} rows got no prompt")
        return {"rows": len(rows), "calls": usage.calls}

    def fresh(faults: Faults, name: str) -> Measurement:
        store = folder / f"{name}.sqlite"
        store.unlink(missing_ok=True)
        return ours(faults, store)

    full = folder / "full.sqlite"
    ours(QUIET, full)
    contenders = {
        f"the baseline's loop, {SLICE} rows": baseline,
        "wenmo": lambda: fresh(QUIET, "quiet"),
        "wenmo, 9% of calls failing, 5% of answers empty": lambda: fresh(FAULTY, "faulty"),
        "wenmo, second run": lambda: ours(QUIET, full),
    }
    return {"runs": in_turn(contenders, ROUNDS, "summarize")}


def summarize_params(url: str) -> SummarizeParams:
    """The section of params.yaml, with the server for an endpoint."""
    content = params_file.read(ROOT / "params.yaml")
    content["summarize"] |= {"provider": "vllm", "max_attempts": 8}
    content["endpoints"]["vllm"]["base_url"] = url
    return params_file.section(SummarizeParams, content, "summarize")


def tables(result: dict[str, Any]) -> list[Table]:
    """Speed and calls."""
    runs: Runs = result["runs"]
    baseline = next(iter(runs.values()))
    rows = [
        [
            name,
            duration(of_one).shown(2),
            spread(rates(of_one, "rows")).shown(),
            times_faster(of_one, baseline, "rows").shown(0),
            spread([run["calls"] for run in of_one]).shown(0),
            spread([1000 * run["seconds"] / run["rows"] for run in of_one]).shown(2),
        ]
        for name, of_one in runs.items()
    ]
    heads = ["", "seconds", "rows a second", "times the baseline", "calls", "milliseconds a row"]
    return [(heads, rows)]
