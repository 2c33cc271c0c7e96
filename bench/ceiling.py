"""What matrix products reach, in the order of magnitude that no model can exceed.

python -m bench.ceiling prints operations a second on the code path that the environment asks for.
"""

import json
from pathlib import Path

from bench.rounds import Measurement
from bench.stage_run import run_python

from wenmo.model.cost import matrix_product_flops

PATHS = {
    "the machine's own code path": {},
    "the same, one thread": {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
}
"""Environments to measure in, beside the one that stages pin."""


def measure(environment: dict[str, str]) -> Measurement:
    """Floating-point operations a second of a large product, in a process of its own."""
    printed = run_python(Path(), "-m", "bench.ceiling", environment=environment)["stdout"]
    return {"flops": float(json.loads(printed))}


if __name__ == "__main__":
    # Here and not above, since `measure` needs none of it.
    import torch

    has_gpu = torch.cuda.is_available()
    device = torch.device("cuda" if has_gpu else "cpu")
    dtype = torch.bfloat16 if has_gpu else torch.float32
    matrix_product_flops(device, dtype)
    print(json.dumps(matrix_product_flops(device, dtype)))
