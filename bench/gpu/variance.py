"""Equal runs of training and of the stages after it: how many versions of the bytes, what losses.

Poetry is run by the embedded base in the settings of params.yaml, as `python -m bench.variance`
does it. A training of Qwen2.5-1.5B's shape computes in bfloat16, as larger models do.
"""

from collections.abc import Callable
from pathlib import Path
from statistics import pstdev
from tempfile import TemporaryDirectory
from typing import Any

from bench import variance
from bench.gpu import turns
from bench.random_weights import CONTEXT, REHEARSAL, write_model
from bench.rounds import spread, table
from bench.train import SETTINGS, drawn_rows, our_stage

RUNS = 5
ROWS, LONGEST = 64, 3200
REHEARSED = {"train": {"max_steps": 2}, "generate": {"sampling": {"max_new_tokens": 4}}}
"""What a rehearsal changes of params.yaml, so that it takes no longer than it must."""


def contenders(folder: Path, architecture: str) -> dict[str, Any]:
    """Equal trainings of random weights, then equal runs of all stages with a model."""
    is_rehearsal = architecture == REHEARSAL
    write_model(folder / "random", architecture)
    rows = drawn_rows(*((16, 400) if is_rehearsal else (ROWS, LONGEST)))

    def random_weights() -> dict[str, Any]:
        run = our_stage(folder, folder / "random", rows, SETTINGS | {"max_length": CONTEXT})
        versions = [variance.digest(folder / "wenmo/models/adapters")]
        return {"loss": run["eval_loss"], "versions": versions}

    def poetry() -> dict[str, Any]:
        with TemporaryDirectory(dir=folder) as within:
            run = variance.run("poetry", Path(within), REHEARSED if is_rehearsal else {})
        loss = run["scores"]["loss_per_character"]
        return {"loss": loss, "versions": [*run["hashes"].values()]}

    both: dict[str, Callable[[], dict[str, Any]]] = {
        "a training of random weights": random_weights,
        "poetry by the embedded base: adapter, merged model, texts": poetry,
    }
    runs = range(1, (1 if is_rehearsal else RUNS) + 1)
    return {f"{name}; run {number}": run for name, run in both.items() for number in runs}


def tables(result: dict[str, Any]) -> list[str]:
    """Versions and held-out losses of the runs of either kind, and what was not measured."""
    by_kind: dict[str, list[dict[str, Any]]] = {}
    for name, (run,) in result["runs"].items():
        by_kind.setdefault(name.partition("; ")[0], []).append(run)
    rows = []
    for kind, runs in by_kind.items():
        versions = zip(*(run["versions"] for run in runs), strict=True)
        counts = ", ".join(str(len(set(each))) for each in versions)
        losses = [run["loss"] for run in runs]
        deviation = f"{pstdev(losses):.4f}"
        rows.append([kind, str(len(runs)), counts, spread(losses).shown(4), deviation])
    heads = ["", "runs", "versions", "held-out loss (nats)", "standard deviation"]
    return [table(heads, rows), *turns.not_measured(result)]
