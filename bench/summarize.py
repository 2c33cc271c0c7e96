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
from bench.peers.summarizer import ask_one_by_one
from bench.rounds import (
    Measurement,
    contender_table,
    in_turn,
    milliseconds,
    quantity,
    rate,
    ratio,
)
from bench.stage_run import ROOT
from tests.fault_server import Faults, FaultServer

from wenmo.config import params_file
from wenmo.config.summarize import SummarizeParams
from wenmo.core.records import Row
from wenmo.llm.client import Usage
from wenmo.llm.dialogue import first_request
from wenmo.llm.prompt_writer import write_prompts
from wenmo.llm.store import LOCATION

ROWS, FEW, LENGTH = 1000, 10, 800
ROUNDS = 3
GOOD = Faults(latency=0.2)
FAULTY = Faults(latency=0.2, too_many=0.05, server_error=0.02, truncated=0.02, empty=0.05)


def measure(folder: Path, scale: float) -> dict[str, Any]:
    """The baseline, and wenmo with a good endpoint, with a faulty one and for a second time."""
    texts = passages(max(FEW, round(ROWS * scale)), LENGTH)
    rows = [Row(str(at), "s", at, "", "", text) for at, text in enumerate(texts)]
    stores = iter(range(sys.maxsize))

    def baseline() -> Measurement:
        with FaultServer(GOOD) as server:
            params = summarize_params(server.url)
            ask_one_by_one(server.url, (first_request(row.output, params) for row in rows[:FEW]))
        return {"rows": FEW, "calls": FEW}

    def ours(faults: Faults, store: str = "") -> Measurement:
        """With an empty store of answers, unless one is named."""
        os.environ[LOCATION] = str(folder / f"{store or next(stores)}.sqlite")
        usage = Usage()
        with FaultServer(faults) as server:
            prompted = write_prompts(rows, summarize_params(server.url), usage)
        if prompted.failures:
            sys.exit(f"{len(prompted.failures)} rows got no prompt")
        return {"rows": len(rows), "calls": usage.calls}

    ours(GOOD, "full")
    contenders = {
        f"the baseline's loop, {FEW} rows": baseline,
        "wenmo": lambda: ours(GOOD),
        "wenmo, 9% of calls failing, 5% of answers empty": lambda: ours(FAULTY),
        "wenmo, second run": lambda: ours(GOOD, "full"),
    }
    return {"runs": in_turn(contenders, ROUNDS, "summarize")}


def summarize_params(url: str) -> SummarizeParams:
    """The section of params.yaml, with the server for an endpoint."""
    content = params_file.read(ROOT / "params.yaml")
    content["summarize"] |= {"provider": "vllm", "max_attempts": 8}
    content["endpoints"]["vllm"]["base_url"] = url
    return params_file.section(SummarizeParams, content, "summarize")


def tables(result: dict[str, Any]) -> list[str]:
    """Speed and calls."""
    runs = result["runs"]
    baseline = next(iter(runs.values()))
    columns = {
        "seconds": lambda own: quantity(own).shown(2),
        "rows per second": lambda own: rate(own, "rows").shown(),
        "times the baseline": lambda own: ratio(own, baseline, "rows").shown(0),
        "calls": lambda own: quantity(own, "calls").shown(0),
        "milliseconds per row": lambda own: milliseconds(own, "rows").shown(2),
    }
    return [contender_table(runs, columns)]
