"""A stage of the pipeline, or another program, run in a folder of its own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from wenmo.config.params_file import deep_merge

ROOT = Path(__file__).parents[1]


def write_params(folder: Path, update: dict[str, Any]) -> None:
    """Write params.yaml with some other values into `folder`."""
    yaml = YAML()
    content = yaml.load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    folder.mkdir(parents=True, exist_ok=True)
    yaml.dump(deep_merge(content, update), folder / "params.yaml")


def run_script(
    folder: Path, stage: str, *arguments: str | Path, pinned: bool = True
) -> dict[str, Any]:
    """Run stages/<stage>.py in `folder` and return its log, with seconds and peak memory.

    Unpinned, it takes the machine's own code path, and its bytes differ.
    """
    unpinned = () if pinned else ("-m", "bench.unpinned")
    run(folder, [sys.executable, *unpinned, ROOT / f"stages/{stage}.py", *arguments])
    log = folder / f"logs/{stage}/{arguments[0] if arguments else 'all'}.json"
    return dict(json.loads(log.read_text(encoding="utf-8")))


def run_module(
    folder: Path, *arguments: str | Path, environment: Mapping[str, str] | None = None
) -> dict[str, float]:
    """Run a Python module in `folder`; the measurement is the JSON of its last line."""
    printed = run(folder, [sys.executable, "-m", *arguments], environment)
    return dict(json.loads(printed.splitlines()[-1]))


def run(
    folder: Path, command: Sequence[str | Path], environment: Mapping[str, str] | None = None
) -> str:
    """What a command prints. If it fails, the benchmark ends with the end of its stderr."""
    own = unpinned_environment() | (environment or {})
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=folder, env=own, **pipes, start_new_session=True) as process:
        try:
            printed, told = process.communicate()
        except BaseException:
            # With what it has started: TRL trains in a process of its own.
            os.killpg(process.pid, signal.SIGKILL)
            raise
    if process.returncode:
        sys.exit(f"{' '.join(map(str, command))}:\n{told[-3000:]}")
    return printed


def built_model(name: str) -> Path:
    """The folder of a model that the pipeline has built."""
    folder = ROOT / "models" / name
    if not (folder / "config.json").is_file():
        sys.exit(f"models/{name}: no model; run `make repro`")
    return folder


def unpinned_environment() -> dict[str, str]:
    """The environment of a process that takes the machine's own code path unless it is a stage."""
    # Importing wenmo.core.stage pins the environment of the process that imports it.
    from wenmo.core.stage import PINNED_ENVIRONMENT

    own = {name: value for name, value in os.environ.items() if name not in PINNED_ENVIRONMENT}
    # DVC and TRL start a `python` of their own.
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    # Packages may lie in a folder that this variable names.
    modules = [f"{ROOT / 'src'}", f"{ROOT}", *filter(None, [os.environ.get("PYTHONPATH")])]
    return own | {"PATH": programs, "PYTHONPATH": os.pathsep.join(modules)}
