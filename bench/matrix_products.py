"""Print the FLOP/s of large matrix products, which no model can exceed.

python -m bench.matrix_products
python -m bench.matrix_products --shapes > bench/matrix_products.md

The code path is the one that the environment asks for. With --shapes, those of the embedded base in
a training are multiplied by MKL and by OpenBLAS, both as stages pin them.
"""

import json
import sys
import time

import numpy
import torch
from bench.rounds import table

from wenmo.core.matrix_products import has_pinned_openblas, pin_matrix_products
from wenmo.model.cost import matrix_product_flops

COMMAND = "python -m bench.matrix_products --shapes > bench/matrix_products.md"
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


def gigaflops(rows: int, terms: int, columns: int) -> float:
    """10^9 FLOP/s of a linear layer on so many rows, for half a second."""
    inputs, weight = torch.randn(rows, terms), torch.randn(columns, terms)
    with torch.inference_mode():
        torch.nn.functional.linear(inputs, weight)
        products, started = 0, time.process_time()
        while (seconds := time.process_time() - started) < 0.5:
            torch.nn.functional.linear(inputs, weight)
            products += 1
    return products * 2 * rows * terms * columns / seconds / 1e9


def shapes_page() -> str:
    """The table of SHAPES by either library."""
    import wenmo.core.stage  # noqa: F401  (pins the code path; MKL reads it at its first product)

    mkl = [gigaflops(*shape) for shape in SHAPES.values()]
    if not has_pinned_openblas():
        sys.exit("NumPy has no OpenBLAS with kernels for Haswell here")
    pin_matrix_products()
    openblas = [gigaflops(*shape) for shape in SHAPES.values()]
    rows = (
        [name, "{} by {} by {}".format(*shape), f"{slow:.0f}", f"{fast:.0f}", f"{fast / slow:.1f}"]
        for (name, shape), slow, fast in zip(SHAPES.items(), mkl, openblas, strict=True)
    )
    heads = ("", "shape", "MKL, `COMPATIBLE`", "OpenBLAS, `Haswell`", "times")
    told = (
        f"`{COMMAND}`\n\n10^9 FLOP/s of products in float32 by one thread, with torch"
        f" {torch.__version__} and NumPy {numpy.__version__}:"
    )
    return f"{told}\n\n{table(heads, rows)}"


if __name__ == "__main__":
    if sys.argv[1:] == ["--shapes"]:
        print(shapes_page())
        sys.exit()
    pin_matrix_products()
    has_gpu = torch.cuda.is_available()
    device = torch.device("cuda" if has_gpu else "cpu")
    dtype = torch.bfloat16 if has_gpu else torch.float32
    matrix_product_flops(device, dtype)  # the first call warms up
    print(json.dumps({"flops": matrix_product_flops(device, dtype)}))
