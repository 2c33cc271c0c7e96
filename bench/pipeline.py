"""`dvc repro` in a fresh clone with an empty cache: all stages, none, and one changed parameter.

The projects that wenmo follows have scripts and notebooks, which do everything again each time: the
cold run is their way. The changed parameter is the number of tokens that a poem may have, so that
poems are generated and scored again. The seconds of a stage's work are read from its log.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from bench.rounds import Measurement, in_turn, quantity, spread, table
from bench.stage_run import ROOT, run

NOTHING, CHANGED = 5, 3
STEPS = "train, its steps and held-out losses"
"""A part of `train` among the stages of a result."""

PARAMETER = "max_new_tokens: {}"
TOKENS = 160
"""The value that params.yaml has for poetry, and for no other task."""


def measure(folder: Path, scale: float) -> dict[str, Any]:
    """One cold run, then runs with nothing to do, then runs with a new value."""
    clone, tokens = folder / "wenmo", iter(range(TOKENS, 0, -1))
    run(folder, ["git", "clone", "--quiet", ROOT, clone])
    params = clone / "params.yaml"

    def repro() -> Measurement:
        run(clone, ["dvc", "repro", "--quiet"])
        return {}

    def repro_with_new_value() -> Measurement:
        before, now = params.read_text(encoding="utf-8"), next(tokens)
        after = before.replace(PARAMETER.format(now), PARAMETER.format(now - 1))
        params.write_text(after, encoding="utf-8")
        return repro()

    runs = in_turn({"cold": repro}, 1, "dvc repro, cold")
    stages = seconds_by_stage(clone / "logs")
    runs |= in_turn({"nothing changed": repro}, NOTHING, "dvc repro, nothing changed")
    runs |= in_turn({"one parameter changed": repro_with_new_value}, CHANGED, "dvc repro, changed")
    return {"runs": runs, "stages": stages}


def seconds_by_stage(logs: Path) -> dict[str, float]:
    """The seconds of each stage's work, all tasks together, and of training's steps."""
    seconds: Counter[str] = Counter()
    for path in sorted(logs.glob("*/*.json")):
        log = json.loads(path.read_text(encoding="utf-8"))
        seconds[path.parent.name] += log["seconds"]
        if "train_seconds" in log:
            seconds[STEPS] += log["train_seconds"]
    return dict(seconds)


def working(result: dict[str, Any]) -> list[tuple[str, float]]:
    """The stages of the cold run with their seconds of work, the longest first."""
    stages = [each for each in result["stages"].items() if each[0] != STEPS]
    return sorted(stages, key=lambda each: -each[1])


def tables(result: dict[str, Any]) -> list[str]:
    """Seconds of a run, and the shares of the cold one."""
    runs, parts = result["runs"], working(result)
    cold = runs["cold"][0]["seconds"]
    times = [
        [name, quantity(own).shown(2), spread([cold / run["seconds"] for run in own]).shown(0)]
        for name, own in runs.items()
    ]
    parts.append(("starting stages, and DVC itself", cold - sum(s for _, s in parts)))
    shares = [[name, f"{seconds:.1f}", f"{seconds / cold:.0%}"] for name, seconds in parts]
    return [
        table(["`dvc repro`", "seconds", "times as fast as cold"], times),
        table(["of the cold run", "seconds", "share"], shares),
    ]
