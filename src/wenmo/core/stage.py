"""What every stage script does around its work: pin the code path, log the cost, end cleanly."""

import os
import platform
import signal
import sys
import time
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from wenmo.core.disk import refusal_to_write, try_disk
from wenmo.core.errors import UserError
from wenmo.core.processes import IS_MAIN_PROCESS, peak_mebibytes
from wenmo.core.records import write_json

# One vector unit, one thread and one order of sums, so that the same bytes come out on any AVX2
# machine; on a GPU cuBLAS keeps to one order too. MKL parts matrix products among threads, and the
# last digits depend on where. They are read when torch and MKL are first loaded, so this module is
# imported before them. The last keeps two tokenizer processes from deadlocking after a fork and its
# warning out of the output.
PINNED_ENVIRONMENT = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
    "MKL_CBWR": "COMPATIBLE",
    "MKL_DYNAMIC": "FALSE",
    "MKL_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
os.environ.update(PINNED_ENVIRONMENT)

LOGS = Path("logs")
"""What varies from run to run; in no DVC output and not in git."""


def parse_arguments(description: str | None, **options: str) -> Namespace:
    """Command-line arguments of a stage: one required string an option, with its help."""
    parser = ArgumentParser(description=description, formatter_class=RawDescriptionHelpFormatter)
    for name, help_text in options.items():
        parser.add_argument(name, help=help_text)
    return parser.parse_args()


@contextmanager
def run_stage(name: str, task: str = "all") -> Iterator[dict[str, Any]]:
    """Run a stage's work: a UserError becomes one line and its exit code, Ctrl-C exit code 130.

    So does a disk that is full or may not be written to. Seconds, peak memory (MiB), the code path
    and what the stage adds to the dictionary that it is given go to logs/<stage>/<task>.json; what
    it added, also when the work failed.
    """
    # DVC stops its stages by SIGTERM; without this, temporary files would be left behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    started = time.monotonic()
    log: dict[str, Any] = {}
    try:
        yield log
        try_disk()
    except UserError as error:
        if IS_MAIN_PROCESS:
            print(f"{name}: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print(f"{name}: stopped", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        refusal = refusal_to_write(error)
        if not refusal:
            raise
        # A progress bar may have left its line open.
        print(f"\n{name}: {refusal}; mend that and run it again", file=sys.stderr)
        sys.exit(1)
    finally:
        if log and IS_MAIN_PROCESS:
            keep_log(name, task, log)
    if not IS_MAIN_PROCESS:
        return
    cost = {"seconds": round(time.monotonic() - started, 2), "peak_mebibytes": peak_mebibytes()}
    keep_log(name, task, cost | code_path(name) | log)


def keep_log(name: str, task: str, log: dict[str, Any]) -> None:
    """Write a stage's log. Where that is impossible say so: it must not cost the stage's work."""
    path = LOGS / name / f"{task}.json"
    try:
        write_json(path, log)
    except OSError as error:
        print(f"{name}: {path} is not written: {error.strerror}", file=sys.stderr)


def code_path(name: str) -> dict[str, Any]:
    """By what the bytes were computed: the machine and, where torch has been used, its code path.

    Says so, by the stage's name, if torch could not take the pinned one.
    """
    torch = sys.modules.get("torch")
    if torch is None:
        return {"machine": platform.machine()}
    found = torch.backends.cpu.get_cpu_capability()
    if found != PINNED_ENVIRONMENT["ATEN_CPU_CAPABILITY"].upper():
        told = f"{name}: this processor computes by {found}, not AVX2: expect other bytes"
        print(told, file=sys.stderr)
    return {
        "machine": platform.machine(),
        "environment": PINNED_ENVIRONMENT,
        "vector_unit": found,
        "threads": torch.get_num_threads(),
        "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
    }
