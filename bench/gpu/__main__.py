"""Training, generation, repeated runs and growth of the base on one GPU, without DVC or a network.

python -m bench.gpu train                               Qwen2.5-1.5B's shape, random weights
python -m bench.gpu train --architecture qwen2.5-7b     a larger one; generate takes it, too
python -m bench.gpu generate
python -m bench.gpu variance                            bytes and losses of equal runs
python -m bench.gpu growth_of_base                      tokens per second of pretraining/
python -m bench.gpu --rehearse                          everything on a CPU, tiny, without a result

A call takes at most --seconds. What no longer fits is told, and the same command goes on with it.
Results go to bench/results/NAME-gpu.json; `python -m bench.page` writes them into the page.
"""

import json
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from bench import machine
from bench.gpu import MEASURED, result_path, section
from bench.gpu.turns import FAILED, NO_TIME, measure_within
from bench.random_weights import PUBLISHED, REHEARSAL

from wenmo.core.records import write_json

SECONDS = 540


def main() -> None:
    """Measure and keep the results; the exit code of a rehearsal is 1 if a contender fails."""
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="?", choices=MEASURED, help="what to measure")
    parser.add_argument("--architecture", choices=PUBLISHED, default=PUBLISHED[0])
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"({SECONDS})")
    parser.add_argument("--rehearse", action="store_true", help="try it out, on a CPU if need be")
    arguments = parser.parse_args()
    if arguments.rehearse:
        names = [arguments.name] if arguments.name else MEASURED
        went_through = [rehearse(name, arguments.seconds) for name in names]
        sys.exit(not all(went_through))
    if not arguments.name:
        parser.error(f"name one of {', '.join(MEASURED)}, or --rehearse to try all of them")
    if not torch.cuda.is_available():
        sys.exit("no GPU that torch can use; `--rehearse` tries everything without one")
    architecture = arguments.architecture
    path = result_path(arguments.name, architecture)
    result = measured(arguments.name, architecture, arguments.seconds, path)
    print(section(arguments.name, architecture, result))


def rehearse(name: str, seconds: float) -> bool:
    """Print the tables of a tiny model; whether no contender failed or was out of time."""
    result = measured(name, REHEARSAL, seconds)
    print(section(name, REHEARSAL, result), end="\n\n", flush=True)
    return not any(why.startswith((FAILED, NO_TIME)) for why in result["missing"].values())


def measured(
    name: str, architecture: str, seconds: float, path: Path | None = None
) -> dict[str, Any]:
    """A result, kept in `path` after each contender; what is there of this machine stays."""
    described = machine.describe()
    result: dict[str, Any] = {"machine": described, "scale": 1, "runs": {}, "missing": {}}
    if path and path.is_file():
        before = json.loads(path.read_text(encoding="utf-8"))
        if all(before["machine"][key] == described[key] for key in ("gpu", "libraries")):
            result = before
    with TemporaryDirectory() as folder:
        module = import_module(f"bench.gpu.{name}")
        measure_within(
            seconds,
            lambda: module.contenders(Path(folder), architecture),
            result,
            lambda: path and write_json(path, result),
        )
    return result


if __name__ == "__main__":
    main()
