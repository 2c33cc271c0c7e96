"""What every stage script does around its work: pin the code path, log the cost, end cleanly."""

import os
import signal
import sys
import time
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from wenmo.errors import UserError
from wenmo.processes import IS_MAIN_PROCESS, PROCESSES, peak_mebibytes
from wenmo.records import write_json

# One vector unit, one number of threads and one order of sums, so that the same bytes come out on
# any AVX2 machine. They are read when torch and MKL are first loaded, so this module is imported
# before them. The last keeps two tokenizer processes from deadlocking after a fork and its warning
# out of the output.
PINNED_ENVIRONMENT = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "MKL_CBWR": "COMPATIBLE",
    "MKL_DYNAMIC": "FALSE",
    "OMP_NUM_THREADS": "1" if PROCESSES > 1 else "2",
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
def running(name: str, task: str = "all") -> Iterator[dict[str, Any]]:
    """Run a stage's work: a UserError becomes one line and its exit code, Ctrl-C exit code 130.

    Seconds, peak memory (MiB) and what the stage adds to the dictionary that it is given go to
    logs/<stage>/<task>.json; what it added, also when the work failed.
    """
    # DVC stops its stages by SIGTERM; without this, temporary files would be left behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    started = time.monotonic()
    log: dict[str, Any] = {}
    try:
        yield log
    except UserError as error:
        if IS_MAIN_PROCESS:
            print(f"{name}: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print(f"{name}: stopped", file=sys.stderr)
        sys.exit(130)
    finally:
        if log and IS_MAIN_PROCESS:
            write_json(LOGS / name / f"{task}.json", log)
    if not IS_MAIN_PROCESS:
        return
    cost = {"seconds": round(time.monotonic() - started, 2), "peak_mebibytes": peak_mebibytes()}
    write_json(LOGS / name / f"{task}.json", cost | log)
