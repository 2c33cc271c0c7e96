"""Trying what a stranger wrote, such as a chat template, within limits of time and memory."""

import json
import multiprocessing
import os
import resource
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from wenmo.core.errors import UserError
from wenmo.core.language import gettext

SECONDS = 30
"""Of computing; a tokenizer of 256,000 tokens is opened in three."""

PATIENCE = 10 * SECONDS
"""Of waiting, on a machine that is busy with other things (seconds)."""

GIB = 2**30
MEMORY = 4 * GIB
"""Of addresses beyond what this process has (bytes)."""


def within_limits(work: Callable[[], Any]) -> Any:
    """What `work` returns, which must be a value of JSON, from a copy of this process.

    Raises UserError with its message if `work` does, and if it fails in any other way, takes longer
    than SECONDS or more than MEMORY. The copy can ask nothing on the terminal.
    """
    # A fork has all modules at hand, which a new process would import for seconds.
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(work, sender), daemon=True)
    process.start()
    sender.close()
    try:
        if not receiver.poll(PATIENCE):
            raise UserError("it takes longer than {seconds} s", seconds=PATIENCE)
        complaint, result = json.loads(receiver.recv_bytes())
    except EOFError:
        process.join()
        raise _end(process.exitcode) from None
    finally:
        process.kill()
        process.join()
        receiver.close()
    if complaint:
        raise UserError(complaint)
    return result


def _work(work: Callable[[], Any], sender: Connection) -> None:
    for each in (signal.SIGTERM, signal.SIGINT, signal.SIGXCPU):
        signal.signal(each, signal.SIG_DFL)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # a fork has none of the threads
    _limit(resource.RLIMIT_AS, _address_space() + MEMORY)
    _limit(resource.RLIMIT_CPU, int(sum(os.times()[:2])) + SECONDS)
    _limit(resource.RLIMIT_CORE, 0)
    complaint, result = "", None
    try:
        result = work()
    except UserError as error:
        complaint = str(error)
    except MemoryError:
        complaint = gettext("it takes more than {size} GiB of memory", size=MEMORY // GIB)
    except BaseException as error:  # a panic of tokenizers is no Exception
        said = f"{type(error).__name__}: {' '.join(str(error).split())}"
        complaint = gettext("it cannot be opened: {error}", error=said)
    sender.send_bytes(json.dumps([complaint[:500], result]).encode())


def _limit(kind: int, soft: int) -> None:
    hard = resource.getrlimit(kind)[1]
    if hard != resource.RLIM_INFINITY:
        soft = min(soft, hard)
    resource.setrlimit(kind, (soft, hard))


def _address_space() -> int:
    """The addresses that this process has (bytes), by Linux."""
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[0]
    return int(pages) * resource.getpagesize()


def _end(exit_code: int | None) -> UserError:
    if exit_code == -signal.SIGXCPU:
        return UserError("it takes longer than {seconds} s", seconds=SECONDS)
    name = signal.Signals(-exit_code).name if exit_code and exit_code < 0 else str(exit_code)
    return UserError(
        "opening it breaks the process ({name}), perhaps for want of memory", name=name
    )
