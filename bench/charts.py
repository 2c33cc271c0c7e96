"""The pictures of docs/benchmarks.md, drawn by matplotlib: the same bytes for the same results."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Any

import matplotlib
from bench import growth, pipeline
from bench.rounds import duration

matplotlib.use("svg")
from matplotlib import pyplot
from matplotlib.axes import Axes

WIDTH, HEIGHT = 7.0, 3.6
STYLE = {"svg.hashsalt": "wenmo", "svg.fonttype": "none", "font.size": 9}


def pictures(results: dict[str, dict[str, Any] | None]) -> dict[str, str]:
    """SVG by the name of its file, for the results that there are."""
    found = {}
    if grown := results["growth"]:
        found["bench-growth"] = growth_lines(grown)
    if repro := results["pipeline"]:
        found["bench-repro"] = cold_bars(repro)
    return found


def growth_lines(result: dict[str, Any]) -> str:
    """Seconds of each data stage by the length of its input, both in logarithms."""
    with drawn() as (axes, svg):
        sizes = [int(size) for size in result["runs"]]
        for stage, slope in growth.exponents(result).items():
            seconds = growth.medians(result["runs"], stage)
            axes.loglog(sizes, seconds, marker="o", label=f"{stage}: exponent {slope:.2f}")
        axes.set_xlabel("characters of input")
        axes.set_ylabel("seconds of work")
        axes.legend()
    return svg.getvalue()


def cold_bars(result: dict[str, Any]) -> str:
    """Where the seconds of a cold `dvc repro` go."""
    with drawn() as (axes, svg):
        working = {name: s for name, s in result["stages"].items() if name != pipeline.STEPS}
        parts = sorted(working.items(), key=lambda part: part[1])
        axes.barh([name for name, _ in parts], [seconds for _, seconds in parts])
        axes.set_xlabel("seconds of work in a cold run, all tasks together")
        nothing = duration(result["runs"]["nothing changed"])
        axes.axvline(nothing.median, linestyle="--", color="gray", label="a run with nothing to do")
        axes.legend()
    return svg.getvalue()


@contextmanager
def drawn() -> Iterator[tuple[Axes, StringIO]]:
    """Axes to draw on, and the SVG that comes of it at the end."""
    svg = StringIO()
    with matplotlib.rc_context(STYLE):
        figure, axes = pyplot.subplots(figsize=(WIDTH, HEIGHT), layout="constrained")
        yield axes, svg
        figure.savefig(svg, format="svg", metadata={"Date": None})
        pyplot.close(figure)
