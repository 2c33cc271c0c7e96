"""The rows of training and generation on one GPU: `make bench-gpu`.

python -m bench.gpu                                  Qwen2.5-1.5B's shape, random weights
python -m bench.gpu --architecture qwen2.5-7b        a larger one
python -m bench.gpu --rehearse                       all of it on a CPU, tiny and without a result

Random weights are as fast as learnt ones and need no download; such a model hardly ever ends a text
by itself. Results go to bench/results/NAME-gpu.json, tables to docs/benchmarks.md.
"""

import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from bench import page
from bench.__main__ import measured
from bench.random_weights import REHEARSAL, SHAPES

from wenmo.core.records import write_json

REHEARSAL_SCALE = 0.01


def main() -> None:
    """Measure, write results, bring the page up to date."""
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument("--architecture", choices=SHAPES, default="qwen2.5-1.5b")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the work (1: all)")
    parser.add_argument("--rehearse", action="store_true", help="try it out, on a CPU if need be")
    arguments = parser.parse_args()
    if not arguments.rehearse and not torch.cuda.is_available():
        sys.exit("no GPU that torch can use; `--rehearse` tries everything without one")
    architecture = REHEARSAL if arguments.rehearse else arguments.architecture
    scale = REHEARSAL_SCALE if arguments.rehearse else arguments.scale
    with TemporaryDirectory() as folder:
        results = Path(folder) if arguments.rehearse else page.RESULTS
        for name in page.ON_GPU:
            result = measured(name, scale, architecture=architecture)
            write_json(results / f"{name}-gpu.json", {"architecture": architecture} | result)
    if not arguments.rehearse:
        page.write_page()


if __name__ == "__main__":
    main()
