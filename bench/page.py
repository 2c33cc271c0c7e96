"""docs/benchmarks.md and its pictures, from the results in bench/results.

Each table lies between <!-- name --> and <!-- /name --> and is never written by hand.
"""

import json
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from bench import charts, machine, pipeline, train
from bench.markdown import Table, table
from bench.rounds import spread, times_faster
from bench.summary import summary

from wenmo.core.records import write_text
from wenmo.tools.figures import with_figures

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/benchmarks.md"
RESULTS = ROOT / "bench/results"
MEASURED = (
    "prepare",
    "summarize",
    "duplicates",
    "train",
    "generate",
    "evaluate",
    "growth",
    "start_up",
    "pipeline",
)
"""The modules of bench that `make bench` runs, in the page's order."""

ON_GPU = ("train", "generate")
"""Those that `make bench-gpu` runs."""


def module(name: str) -> ModuleType:
    """The module that measures this."""
    return import_module(f"bench.{name}")


def read_result(name: str) -> dict[str, Any] | None:
    """What bench/results has of a measurement, if there is one."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def figures() -> dict[str, str]:
    """What stands between the page's markers, by the markers' names."""
    results = {name: read_result(name) for name in MEASURED}
    known = {name: result for name, result in results.items() if result}
    found = {"summary": summary(known), "largest": largest(known)}
    for name in MEASURED:
        found[name] = section(name, results[name], f"make bench NAMES={name}")
    for name in ON_GPU:
        found[f"{name}-gpu"] = section(name, read_result(f"{name}-gpu"), "make bench-gpu")
    return found


def section(name: str, result: dict[str, Any] | None, command: str) -> str:
    """A measurement's command, machine and tables."""
    if result is None:
        return f"`{command}`: not measured yet, since no such machine has been at hand."
    tables: list[Table] = module(name).tables(result)
    told = f"`{command}`, on {machine.sentence(result['machine'])}"
    return "\n\n".join([told, *map(table, tables)])


def largest(results: dict[str, dict[str, Any]]) -> str:
    """What takes most of a cold `dvc repro`, and why it is not cut."""
    if "pipeline" not in results or "train" not in results:
        return ""
    (cold,) = (run["seconds"] for run in results["pipeline"]["runs"]["cold"])
    stages, runs = results["pipeline"]["stages"], results["train"]["runs"]
    ceilings = results["train"]["ceilings"]
    own, _, pinned = (spread([run["flops"] for run in of_one]) for of_one in ceilings.values())
    learning = stages["base_model"] + stages[pipeline.STEPS]
    unpinned = times_faster(runs[train.UNPINNED], runs[train.OURS], "tokens")
    return (
        f"Pre-training the tiny base and training the three adapters take {learning:.0f} of the"
        f" {cold:.0f} seconds, {learning / cold:.0%}: matrix products by one thread on the code"
        f" path that is pinned. They reach {pinned.median / 1e9:,.0f} thousand million operations"
        f" a second there and {own.median / 1e9:,.0f} on the machine's own code path; training"
        f" would be {unpinned.shown(1)} times as fast by it. That is the price of the same bytes"
        " on any machine, and it is paid knowingly: without it nobody could tell a changed result"
        " from another processor. It plays no part on a GPU."
    )


def write_page() -> None:
    """Bring docs/benchmarks.md and docs/images up to date."""
    text = PAGE.read_text(encoding="utf-8")
    write_text(PAGE, with_figures(text, PAGE, figures()))
    for name, picture in charts.pictures({n: read_result(n) for n in MEASURED}).items():
        write_text(ROOT / f"docs/images/{name}.svg", picture)


if __name__ == "__main__":
    write_page()
