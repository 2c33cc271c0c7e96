"""For which widths a matrix product depends on the number of threads, by setting of MKL_CBWR.

python -m bench.threads > bench/threads.md
"""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable

SETTINGS = ("COMPATIBLE", "AVX2", "AVX2,STRICT")
ROWS = [*range(1, 130, 3), 257, 511, 999]
WIDTHS = ((128, 128), (128, 256), (256, 128), (128, 16), (16, 128), (128, 4480))
THREADS = (2, 4)


def dependent(width_in: int, width_out: int) -> Counter[str]:
    """Of ROWS, for how many each product of a linear layer differs from the one by one thread."""
    import torch

    torch.manual_seed(0)
    weight = torch.randn(width_out, width_in)
    counts: Counter[str] = Counter()
    for rows in ROWS:
        inputs, gradient = torch.randn(rows, width_in), torch.randn(rows, width_out)
        products: dict[str, Callable[[], torch.Tensor]] = {
            "output": lambda x=inputs: torch.nn.functional.linear(x, weight),
            "gradient of input": lambda g=gradient: g @ weight,
            "gradient of weight": lambda g=gradient, x=inputs: g.t() @ x,
        }
        for name, product in products.items():
            torch.set_num_threads(1)
            alone = product()
            for threads in THREADS:
                torch.set_num_threads(threads)
                counts[name] += not torch.equal(product(), alone)
    return counts


def main() -> None:
    """Print the table; a setting is measured in a process of its own, since MKL reads it once."""
    if len(sys.argv) > 1:
        for widths in WIDTHS:
            counts = dependent(*widths)
            cells = " | ".join(str(counts[name]) for name in counts)
            print(f"| {sys.argv[1]} | {widths[0]} to {widths[1]} | {cells} |")
        return
    print("`python -m bench.threads > bench/threads.md`\n")
    tried = len(ROWS) * len(THREADS)
    print(f"Matrix products of a linear layer on 1 to 999 rows, by {THREADS[0]} and {THREADS[1]}")
    print(f"threads: how many of {tried} are not, bit by bit, those of one thread.\n")
    print("| `MKL_CBWR` | width | output | gradient of input | gradient of weight |")
    print("|:--|:--|--:|--:|--:|", flush=True)
    for setting in SETTINGS:
        environment = os.environ | {
            "ATEN_CPU_CAPABILITY": "avx2",
            "MKL_CBWR": setting,
            "MKL_DYNAMIC": "FALSE",
        }
        command = [sys.executable, "-m", "bench.threads", setting]
        subprocess.run(command, env=environment, check=True)


if __name__ == "__main__":
    main()
