"""The rows of training and generation on one GPU: `make bench-gpu`.

python -m bench.gpu                                  Qwen2.5-1.5B's shape, random weights
python -m bench.gpu --architecture qwen2.5-7b        a larger one
python -m bench.gpu --rehearse                       everything on a CPU, tiny and without a result

Results go to bench/results/NAME-gpu.json, tables to docs/benchmarks.md.
"""

import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter

import torch
from bench import page
from bench.random_weights import REHEARSAL, SHAPES

from wenmo.core.records import write_json

REHEARSAL_SCALE = 0.01


def main() -> None:
    """Measure, write results, bring the page up to date; a rehearsal prints its tables instead."""
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    shapes = [shape for shape in SHAPES if shape != REHEARSAL]
    parser.add_argument("--architecture", choices=shapes, default="qwen2.5-1.5b")
    parser.add_argument("--rehearse", action="store_true", help="try it out, on a CPU if need be")
    arguments = parser.parse_args()
    if arguments.rehearse:
        for name in page.ON_GPU:
            result = page.measured(name, REHEARSAL_SCALE, architecture=REHEARSAL)
            print(page.section(name, result, "make bench-gpu"))
        return
    if not torch.cuda.is_available():
        sys.exit("no GPU that torch can use; `--rehearse` tries everything without one")
    shape = arguments.architecture
    for name in page.ON_GPU:
        result = {"architecture": shape} | page.measured(name, 1.0, architecture=shape)
        write_json(page.RESULTS / f"{name}-gpu.json", result)
    page.write_page()


if __name__ == "__main__":
    main()
