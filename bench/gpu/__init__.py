"""What is measured on a GPU, and how it is shown."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench import machine
from bench.random_weights import PUBLISHED
from bench.stage_run import ROOT

MEASURED = ("train", "generate", "variance", "growth_of_base")
"""The modules of bench.gpu that measure, in the page's order.

Each has `contenders(folder, architecture)`, functions that measure once, by name, and
`tables(result)`.
"""

WITH_ARCHITECTURE = ("train", "generate")
"""Those that are measured with random weights of a published shape."""


def result_path(name: str, architecture: str) -> Path:
    """The file of a result in bench/results."""
    of_shape = f"-{architecture}" if name in WITH_ARCHITECTURE else ""
    return ROOT / f"bench/results/{name}{of_shape}-gpu.json"


def command(name: str, architecture: str) -> str:
    """What measures it."""
    option = f" --architecture {architecture}" if name in WITH_ARCHITECTURE else ""
    return f"python -m bench.gpu {name}{option}"


def section(name: str, architecture: str, result: dict[str, Any]) -> str:
    """A measurement's command, machine and tables."""
    return machine.section(f"bench.gpu.{name}", result, command(name, architecture))


def sections(name: str, results: Mapping[str, dict[str, Any]]) -> str:
    """All sections of a measurement, of the results in bench/results by name."""
    found = []
    for architecture in PUBLISHED if name in WITH_ARCHITECTURE else PUBLISHED[:1]:
        result = results.get(result_path(name, architecture).stem)
        none = "not measured yet, since no such machine has been at hand."
        told = f"`{command(name, architecture)}`: {none}"
        found.append(section(name, architecture, result) if result else told)
    return "\n\n".join(found)
