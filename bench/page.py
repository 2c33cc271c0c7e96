"""docs/benchmarks.md and its pictures, from the results in bench/results.

python -m bench.page

Each table lies between <!-- name --> and <!-- /name --> and is never written by hand.
"""

import json
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench import charts, gpu, machine
from bench.stage_run import ROOT
from bench.summary import aims, largest_cost

from wenmo.core.records import write_text
from wenmo.tools.figures import with_figures

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


def measured(name: str, scale: float) -> dict[str, Any]:
    """A new result of a module, with the machine that it was measured on."""
    described = machine.describe()
    with TemporaryDirectory() as folder:
        found = import_module(f"bench.{name}").measure(Path(folder), scale)
    return {"machine": described, "scale": scale} | found


def read_results() -> dict[str, dict[str, Any]]:
    """All results in bench/results, by name."""
    paths = sorted(RESULTS.glob("*.json"))
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in paths}


def figures(results: dict[str, dict[str, Any]]) -> dict[str, str]:
    """The texts between the page's markers, by the markers' names."""
    found = {"summary": aims(results), "largest": largest_cost(results)}
    for name in MEASURED:
        found[name] = machine.section(f"bench.{name}", results[name], f"make bench NAMES={name}")
    for name in gpu.MEASURED:
        found[f"{name}-gpu"] = gpu.sections(name, results)
    return found


def write_page() -> None:
    """Bring docs/benchmarks.md and docs/images up to date."""
    results = read_results()
    text = PAGE.read_text(encoding="utf-8")
    write_text(PAGE, with_figures(text, PAGE, figures(results)))
    pictures = ROOT / "docs/images"
    write_text(pictures / "bench-growth.svg", charts.growth_lines(results["growth"]))
    write_text(pictures / "bench-repro.svg", charts.cold_bars(results["pipeline"]))


if __name__ == "__main__":
    write_page()
