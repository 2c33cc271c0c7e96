"""The pictures of docs/benchmarks.md: the same bytes for the same results."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Any

import matplotlib
from bench import growth, pipeline
from bench.rounds import quantity

matplotlib.use("svg")
from matplotlib import pyplot
from matplotlib.axes import Axes

STYLE = {"svg.hashsalt": "wenmo", "svg.fonttype": "none", "font.size": 9}


def growth_lines(result: dict[str, Any]) -> str:
    """Seconds of each data stage by the length of its input, on logarithmic axes."""
    runs = result["runs"]
    with drawn() as (axes, svg):
        for stage, slope in growth.exponents(runs).items():
            label = f"{stage}: exponent {slope:.2f}"
            axes.loglog([*map(int, runs)], growth.medians(runs, stage), marker="o", label=label)
        axes.set_xlabel("characters of input")
        axes.set_ylabel("seconds of work")
    return svg.getvalue()


def cold_bars(result: dict[str, Any]) -> str:
    """Seconds of each stage in a cold `dvc repro`."""
    with drawn() as (axes, svg):
        names, seconds = zip(*reversed(pipeline.working(result)), strict=True)
        axes.barh(names, seconds)
        axes.set_xlabel("seconds of work in a cold run, all tasks together")
        nothing = quantity(result["runs"]["nothing changed"]).median
        axes.axvline(nothing, linestyle="--", color="gray", label="a run with nothing to do")
    return svg.getvalue()


@contextmanager
def drawn() -> Iterator[tuple[Axes, StringIO]]:
    """Axes to draw on, and the SVG that is written at the end."""
    svg = StringIO()
    with matplotlib.rc_context(STYLE):
        figure, axes = pyplot.subplots(figsize=(7.0, 3.6), layout="constrained")
        yield axes, svg
        axes.legend()
        figure.savefig(svg, format="svg", metadata={"Date": None})
        pyplot.close(figure)
