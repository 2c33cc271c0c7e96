"""A stage of the pipeline run in a folder of its own, with what it cost."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from wenmo.config.params_file import deep_merge

ROOT = Path(__file__).parents[1]


def write_params(folder: Path, update: dict[str, Any]) -> None:
    """params.yaml with some other values."""
    yaml = YAML()
    content = yaml.load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    folder.mkdir(parents=True, exist_ok=True)
    yaml.dump(deep_merge(content, update), folder / "params.yaml")


def run_stage(
    folder: Path, stage: str, *arguments: str | Path, pinned: bool = True
) -> dict[str, Any]:
    """Run stages/<stage>.py there. `seconds` are those of the process from start to end.

    `log` is what it logged, its peak memory among it. Unpinned it takes the code path that the
    machine would take by itself, with other bytes in the end.
    """
    script = ROOT / "stages" / f"{stage}.py"
    cost = run_python(folder, *(() if pinned else ("-m", "bench.unpinned")), script, *arguments)
    task = arguments[0] if arguments else "all"
    log = json.loads((folder / f"logs/{stage}/{task}.json").read_text(encoding="utf-8"))
    return cost | {"log": log}


def run_python(
    folder: Path, *arguments: str | Path, environment: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Run Python in a folder: `seconds` from start to end, and what it printed as `stdout`."""
    started = time.perf_counter()
    stdout = run(folder, [sys.executable, *arguments], environment)
    return {"seconds": time.perf_counter() - started, "stdout": stdout}


def run(
    folder: Path, command: Sequence[str | Path], environment: Mapping[str, str] | None = None
) -> str:
    """What a command prints; where it fails, so does this, with its last words."""
    process = subprocess.run(
        command,
        cwd=folder,
        env=unpinned_environment() | (environment or {}),
        capture_output=True,
        text=True,
    )
    if process.returncode:
        sys.exit(f"{' '.join(map(str, command))}: {process.stderr[-3000:]}")
    return process.stdout


def built_model(name: str) -> Path:
    """A model that the pipeline has built."""
    folder = ROOT / "models" / name
    if not (folder / "config.json").is_file():
        sys.exit(f"models/{name}: no model; run `make repro`")
    return folder


def unpinned_environment() -> dict[str, str]:
    """For a process that takes the machine's own code path unless it is a stage.

    wenmo.core.stage pins the environment of the process that imports it, so the process that starts
    others imports it, and those others do not.
    """
    from wenmo.core.stage import PINNED_ENVIRONMENT

    ours = {name: value for name, value in os.environ.items() if name not in PINNED_ENVIRONMENT}
    # DVC and TRL start a `python` of their own.
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return ours | {"PATH": programs, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
