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
from wenmo.core.fingerprints import refuse_changed_code
from wenmo.core.language import gettext
from wenmo.core.matrix_products import has_pinned_openblas
from wenmo.core.processes import IS_MAIN_PROCESS, peak_mebibytes
from wenmo.core.records import write_json
from wenmo.core.system_words import system_words

# One vector unit, one thread and one order of sums, so that the same bytes come out on any AVX2
# machine. On a GPU, cuBLAS keeps to one order too. Matrix products on a CPU are OpenBLAS's
# (wenmo.core.matrix_products), and those that are left are MKL's, which splits them among threads,
# so that their last digits depend on the split. The libraries read these variables when they are
# loaded, so this module is imported before them. TOKENIZERS_PARALLELISM keeps tokenizers from
# deadlocking after a fork, and its warning out of the output.
PINNED_ENVIRONMENT = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
    "FLASH_ATTENTION_DETERMINISTIC": "1",
    "MKL_CBWR": "COMPATIBLE",
    "MKL_DYNAMIC": "FALSE",
    "MKL_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
PROCESSORS = Path("/proc/cpuinfo")
# OpenBLAS would take these kernels without AVX2 as well, and end at their first instruction.
if PROCESSORS.is_file() and " avx2 " in PROCESSORS.read_text(encoding="utf-8"):
    PINNED_ENVIRONMENT["OPENBLAS_CORETYPE"] = "Haswell"
os.environ.update(PINNED_ENVIRONMENT)

LOGS = Path("logs")
"""What varies from run to run. The folder is no DVC output, and git ignores it."""


def parse_arguments(description: str | None, **options: str) -> Namespace:
    """Command-line arguments of a stage: one required string per option, with its help."""
    parser = ArgumentParser(description=description, formatter_class=RawDescriptionHelpFormatter)
    for name, help_text in options.items():
        parser.add_argument(name, help=help_text)
    return parser.parse_args()


@contextmanager
def run_stage(name: str, task: str = "all") -> Iterator[dict[str, Any]]:
    """Run a stage's work, unless its code is not what `check` has seen.

    A UserError, and a disk that is full or read-only, become one line on stderr and an exit code;
    Ctrl-C becomes exit code 130. Seconds, peak memory (MiB), the code path and what the stage adds
    to the dictionary that it is given are written to logs/<stage>/<task>.json. After a failure the
    log holds what the stage had added until then.
    """
    # DVC stops its stages by SIGTERM. Without a handler, temporary files would be left behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    started = time.monotonic()
    log: dict[str, Any] = {}
    try:
        refuse_changed_code(name, task)
        yield log
        try_disk()
    except UserError as error:
        if IS_MAIN_PROCESS:
            print(gettext("{place}: {error}", place=name, error=error), file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print(gettext("{stage}: stopped", stage=name), file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        refusal = refusal_to_write(error)
        if not refusal:
            raise
        # A progress bar may have left its line open.
        told = gettext(
            "{stage}: {refusal}; mend that and run it again", stage=name, refusal=refusal
        )
        print(f"\n{told}", file=sys.stderr)
        sys.exit(1)
    finally:
        if log and IS_MAIN_PROCESS:
            keep_log(name, task, log)
    if not IS_MAIN_PROCESS:
        return
    cost = {"seconds": round(time.monotonic() - started, 2), "peak_mebibytes": peak_mebibytes()}
    keep_log(name, task, cost | code_path(name) | log)


def warn(name: str, warning: str) -> None:
    """Tell on stderr, after the stage's name, what need not stop it."""
    print(gettext("{stage}: warning: {warning}", stage=name, warning=warning), file=sys.stderr)


def keep_log(name: str, task: str, log: dict[str, Any]) -> None:
    """Write a stage's log. A log that cannot be written is told and costs no work."""
    path = LOGS / name / f"{task}.json"
    try:
        write_json(path, log)
    except OSError as error:
        told = gettext(
            "{stage}: {path} is not written: {reason}",
            stage=name,
            path=path,
            reason=system_words(error),
        )
        print(told, file=sys.stderr)


def code_path(name: str) -> dict[str, Any]:
    """The machine and, if torch was used, the code path by which it computed.

    A machine without the pinned vector unit or library is told on stderr, after the stage's name.
    """
    torch = sys.modules.get("torch")
    if torch is None:
        return {"machine": platform.machine()}
    found = torch.backends.cpu.get_cpu_capability()
    if found != PINNED_ENVIRONMENT["ATEN_CPU_CAPABILITY"].upper():
        told = gettext(
            "{stage}: torch uses {found} here, not AVX2: expect other bytes",
            stage=name,
            found=found,
        )
        print(told, file=sys.stderr)
    pinned = has_pinned_openblas()
    if not pinned and not torch.cuda.is_available():
        told = gettext(
            "{stage}: NumPy brings no OpenBLAS with kernels for Haswell here: expect other bytes",
            stage=name,
        )
        print(told, file=sys.stderr)
    return {
        "machine": platform.machine(),
        "environment": PINNED_ENVIRONMENT,
        "matrix_products": "OpenBLAS" if pinned else "torch",
        "vector_unit": found,
        "threads": torch.get_num_threads(),
        "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
    }
