"""`dvc repro` in a fresh clone with an empty cache: everything, nothing, and one changed parameter.

The projects that wenmo follows have scripts and notebooks, which do all of it again each time: the
cold run is their way. The changed parameter is the number of tokens that poems may have; what is
drawn and scored for this task comes again. How long each stage worked is read from its log; the
rest is starting Python for each stage and DVC's own work.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from bench.markdown import Table
from bench.rounds import Measurement, duration, in_turn, spread
from bench.stage_run import ROOT, run

NOTHING, CHANGED = 5, 3
STEPS = "train, its steps and held-out losses"
DIAL = "max_new_tokens: {}"
TOKENS = 160
"""What params.yaml has for poetry, and for nothing else."""


def measure(folder: Path, scale: float) -> dict[str, Any]:
    """One cold run, then runs with nothing to do and runs with a value that was not seen before."""
    clone, tokens = folder / "wenmo", iter(range(TOKENS, 0, -1))
    run(folder, ["git", "clone", "--quiet", ROOT, clone])
    params = clone / "params.yaml"

    def repro() -> Measurement:
        run(clone, ["dvc", "repro", "--quiet"])
        return {}

    def with_another_value() -> Measurement:
        before = params.read_text(encoding="utf-8")
        now = next(tokens)
        params.write_text(before.replace(DIAL.format(now), DIAL.format(now - 1)), encoding="utf-8")
        return repro()

    runs = in_turn({"cold": repro}, 1, "dvc repro, cold")
    stages = seconds_by_stage(clone / "logs")
    runs |= in_turn({"nothing changed": repro}, NOTHING, "dvc repro, nothing changed")
    runs |= in_turn({"one parameter changed": with_another_value}, CHANGED, "dvc repro, a change")
    return {"runs": runs, "stages": stages}


def seconds_by_stage(logs: Path) -> dict[str, float]:
    """How long each stage worked, of all tasks together, and how much of `train` was training."""
    seconds: Counter[str] = Counter()
    for path in sorted(logs.glob("*/*.json")):
        log = json.loads(path.read_text(encoding="utf-8"))
        seconds[path.parent.name] += log["seconds"]
        if "train_seconds" in log:
            seconds[STEPS] += log["train_seconds"]
    return dict(seconds)


def tables(result: dict[str, Any]) -> list[Table]:
    """Seconds of a run, and where those of the cold one go."""
    (cold,) = (run["seconds"] for run in result["runs"]["cold"])
    times = [
        [
            name,
            duration(of_one).shown(2),
            spread([cold / run["seconds"] for run in of_one]).shown(0),
        ]
        for name, of_one in result["runs"].items()
    ]
    stages = result["stages"]
    working = {name: seconds for name, seconds in stages.items() if name != STEPS}
    parts = sorted(working.items(), key=lambda part: -part[1])
    parts.append(("starting stages, and DVC itself", cold - sum(working.values())))
    shares = [[name, f"{seconds:.1f}", f"{seconds / cold:.0%}"] for name, seconds in parts]
    return [
        (["`dvc repro`", "seconds", "times as fast as cold"], times),
        (["of the cold run", "seconds", "share"], shares),
    ]
