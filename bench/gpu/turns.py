"""Contenders one after another within a time, as a machine that is lent for minutes allows."""

import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from bench.rounds import Measurement, contender_table, table

NO_TIME, FAILED = "the time was up", "failed: "


def measure_within(
    seconds: float,
    contenders: Callable[[], Mapping[str, Callable[[], Measurement]]],
    result: dict[str, Any],
    keep: Callable[[], object],
) -> None:
    """Measure in order what `result` lacks; the time of making `contenders` counts as well.

    `runs` of the result gets the measurements by name, `missing` why there is none: the line by
    which a contender was refused, the last one of what it told when it failed, or that the time was
    up. `keep` is called after each.
    """
    ends = time.monotonic() + seconds
    runs, missing = result["runs"], result["missing"]
    with until(ends):
        measuring = contenders()
    for name, measure in measuring.items():
        if name in runs or missing.get(name, NO_TIME) != NO_TIME:
            continue
        missing.pop(name, None)
        started = time.monotonic()
        try:
            with until(ends):
                runs[name] = [measure()]
        except TimeoutError:
            missing[name] = NO_TIME
        except SystemExit as failure:
            line = str(failure).strip().splitlines()[-1].strip()
            missing[name] = f"{FAILED}{line}" if "Traceback" in str(failure) else line
        took = time.monotonic() - started
        print(
            f"{name}: {missing.get(name, 'measured')} ({took:.0f} s)", file=sys.stderr, flush=True
        )
        keep()


@contextmanager
def until(ends: float) -> Iterator[None]:
    """Raise TimeoutError in the block at that time of time.monotonic; a child that runs is killed.

    subprocess.run kills the program that it waits for on any exception.
    """

    def stop(*_: object) -> None:
        raise TimeoutError

    if ends <= time.monotonic():
        raise TimeoutError
    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, ends - time.monotonic())
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def tables(
    result: dict[str, Any], columns: Mapping[str, Callable[[list[Measurement]], str]]
) -> list[str]:
    """A table of what was measured, and one of what was not."""
    return [contender_table(result["runs"], columns), *not_measured(result)]


def not_measured(result: dict[str, Any]) -> list[str]:
    """A table of what was not measured and why; none if all was."""
    rows = [[name, reason.replace("|", "\\|")] for name, reason in result["missing"].items()]
    return [table(["not measured", "because"], rows)] if rows else []
