"""The process that speaks with a Ray cluster for another one, which core/cluster.py is run by.

It reads messages: first the function, then items and NEXT, by each of which it is asked for the
result of the first item that it has not answered. Functions, items and results pass through as
bytes.

Ray's parts: https://docs.ray.io/en/latest/ray-core/tasks.html
"""

import os
import socket
import sys
from collections import deque
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from wenmo.core import ray_task
from wenmo.core.fingerprints import SOURCE
from wenmo.core.language import VARIABLE, language
from wenmo.core.system_words import system_words

NEXT = b""
"""The message that asks for a result; no pickle is empty."""

RETRIES = 20
"""Times that a task is started anew whose process or node has died."""


CONNECT_SECONDS = 10


@dataclass(frozen=True)
class Failure:
    """Why the cluster cannot do the work."""

    reason: str


def main() -> None:
    """Serve the process at the other end of the pipe, whose descriptor is the first argument."""
    descriptor, address = sys.argv[1:]
    connection = Connection(int(descriptor))
    try:
        _serve(connection, address)
    except EOFError:
        pass  # the other process has no more to ask, or has ended
    except Exception as error:
        connection.send(Failure(_reason(error)))
        raise


def _serve(connection: Connection, address: str) -> None:
    _set_environment(address)
    import ray

    from wenmo.core.stage import PINNED_ENVIRONMENT

    _try_to_connect(address)
    ray.init(
        address,
        logging_level="ERROR",
        log_to_driver=False,
        runtime_env={
            "py_modules": [str(SOURCE / "wenmo")],
            "excludes": ["__pycache__"],
            "env_vars": PINNED_ENVIRONMENT | {VARIABLE: language()},
        },
    )
    run = ray.remote(num_cpus=1, max_retries=RETRIES)(ray_task.run)
    function = ray.put(connection.recv_bytes())
    libraries = ray.put(ray_task.libraries())
    connection.send(max(1, int(ray.cluster_resources().get("CPU", 0))))
    waiting = deque[Any]()
    while True:
        message = connection.recv_bytes()
        if message == NEXT:
            # What is not referred to any more leaves the object store.
            connection.send(ray.get(waiting.popleft()))
        else:
            waiting.append(run.remote(function, message, libraries))


def _set_environment(address: str) -> None:
    """Set the variables that Ray reads when it is imported."""
    # Nothing is sent to its makers.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if "127.0.0.1:" in address or "localhost:" in address:
        # Ray would put this machine's outer address in the place of the loopback.
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"


def _try_to_connect(address: str) -> None:
    """Raise OSError if nothing listens at host and port. Ray would try for many minutes."""
    if address == "auto":
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()


def _reason(error: Exception) -> str:
    """What an error says in one line: its first, and its last if the first announces a trace."""
    if isinstance(error, OSError) and error.strerror:
        return system_words(error)
    first, *others = str(error).strip().splitlines() or [type(error).__name__]
    return f"{first} {others[-1]}" if first.endswith(":") and others else first.rstrip(".")
