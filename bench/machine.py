"""The machine that a measurement ran on."""

import os
import platform
import re
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

LIBRARIES = ("torch", "transformers", "trl", "dvc", "datasketch", "rapidfuzz")
"""Those whose versions are told, if they are installed."""


def describe() -> dict[str, Any]:
    """GPU, processor, cores, memory (GiB), system, versions, and the load average (`busy`)."""
    import torch

    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8") if cpuinfo.is_file() else ""
    processor = re.search(r"^model name\s*: (.+)", lines, re.MULTILINE)
    return {
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "",
        "processor": processor[1].strip() if processor else platform.machine(),
        "cores": os.cpu_count(),
        "memory_gibibytes": round(psutil.virtual_memory().total / 2**30),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "libraries": dict(_installed()),
        "busy": round(os.getloadavg()[0], 2),
    }


def _installed() -> Iterator[tuple[str, str]]:
    for name in LIBRARIES:
        with suppress(PackageNotFoundError):
            yield name, version(name)


def section(module: str, result: dict[str, Any], command: str) -> str:
    """A measurement's command, its machine, and the tables that its module makes of it."""
    told = f"`{command}`, on {in_words(result['machine'])}"
    return "\n\n".join([told, *import_module(module).tables(result)])


def in_words(machine: dict[str, Any]) -> str:
    """A machine that `describe` described, in a line."""
    gpu = f"{machine['gpu']}, " if machine["gpu"] else ""
    return (
        f"{gpu}{machine['cores']} cores of {machine['processor']}, {machine['memory_gibibytes']}"
        f" GiB, {machine['system']}, Python {machine['python']}, torch"
        f" {machine['libraries']['torch']}; load average before: {machine['busy']}"
    )
