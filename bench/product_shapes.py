"""Products of the shapes that a training of the embedded base has, by MKL and by OpenBLAS.

python -m bench.product_shapes > bench/product_shapes.md

Both are as stages pin them, with one thread.
"""

import sys
import time

# isort: off
# Before torch and NumPy, whose libraries read the environment that this module sets.
import wenmo.core.stage  # noqa: F401

# isort: on
import numpy
import torch
from bench.rounds import table

from wenmo.core.matrix_products import has_pinned_openblas, pin_matrix_products

SHAPES = {
    "attention: queries, keys, values, output": (860, 192, 192),
    "feed-forward: gate and up": (860, 192, 512),
    "feed-forward: down": (860, 512, 192),
    "LoRA: into 16 columns": (860, 192, 16),
    "LoRA: out of 16 columns": (860, 16, 192),
    "scores of the vocabulary": (860, 192, 6144),
    "the same while writing 60 texts": (60, 192, 6144),
}
"""Rows, terms of a sum, and columns."""

SECONDS = 1.0


def gigaflops(rows: int, terms: int, columns: int) -> float:
    """10^9 FLOP/s of a linear layer on so many rows."""
    inputs, weight = torch.randn(rows, terms), torch.randn(columns, terms)
    with torch.inference_mode():
        torch.nn.functional.linear(inputs, weight)
        products, started = 0, time.process_time()
        while (seconds := time.process_time() - started) < SECONDS:
            torch.nn.functional.linear(inputs, weight)
            products += 1
    return products * 2 * rows * terms * columns / seconds / 1e9


if __name__ == "__main__":
    if not has_pinned_openblas():
        sys.exit("NumPy brings no OpenBLAS with kernels for Haswell here")
    mkl = [gigaflops(*shape) for shape in SHAPES.values()]
    pin_matrix_products()
    openblas = [gigaflops(*shape) for shape in SHAPES.values()]
    rows = (
        [name, "{} by {} by {}".format(*shape), f"{slow:.0f}", f"{fast:.0f}", f"{fast / slow:.1f}"]
        for (name, shape), slow, fast in zip(SHAPES.items(), mkl, openblas, strict=True)
    )
    print("`python -m bench.product_shapes > bench/product_shapes.md`, on AMD EPYC\n")
    print("10^9 FLOP/s of products in float32 by one thread, with torch", end=" ")
    print(f"{torch.__version__} and NumPy {numpy.__version__}:\n")
    heads = ("", "shape", "MKL, `COMPATIBLE`", "OpenBLAS, `Haswell`", "times")
    print(table(heads, rows))
