"""The machine that a measurement ran on, in words that say nothing else about it."""

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

LIBRARIES = ("torch", "transformers", "trl", "dvc", "datasketch", "rapidfuzz")


def describe() -> dict[str, Any]:
    """GPU if any, processor, cores, memory (GiB), system, versions, and how busy it was before.

    `busy` is the mean number of programs of the last minute that wanted a processor (0: none).
    """
    return {
        "gpu": gpu(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "memory_gibibytes": round(psutil.virtual_memory().total / 2**30),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in LIBRARIES},
        "busy": round(os.getloadavg()[0], 2),
    }


def sentence(described: dict[str, Any]) -> str:
    """A machine in a line, as `describe` found it."""
    gpu = f"{described['gpu']}, " if described["gpu"] else ""
    return (
        f"{gpu}{described['cores']} cores of {described['processor']},"
        f" {described['memory_gibibytes']} GiB, {described['system']}, Python"
        f" {described['python']}, torch {described['libraries']['torch']}; busy before:"
        f" {described['busy']}"
    )


def gpu() -> str:
    """The name of the GPU that torch would use, if there is one."""
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else ""


def processor() -> str:
    """The processor's name, as Linux has it."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
