"""The process that speaks with a Ray cluster for another one, which core/cluster.py is run by.

It reads messages: first a `Function`, then items and NEXT, by each of which it is asked for the
result of the first item that it has not answered. Functions, items and results pass through as
bytes.

Ray's parts: https://docs.ray.io/en/latest/ray-core/tasks.html and
https://docs.ray.io/en/latest/ray-core/actors.html
"""

import os
import pickle
import socket
import sys
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from wenmo.core import ray_task
from wenmo.core.errors import UserError
from wenmo.core.fingerprints import SOURCE
from wenmo.core.language import VARIABLE, language
from wenmo.core.system_words import system_words

NEXT = b""
"""The message that asks for a result; no pickle is empty."""

RETRIES = 20
"""Times that a task is started anew whose process or node has died."""


CONNECT_SECONDS = 10


@dataclass(frozen=True)
class Function:
    """A pickled function of one item.

    With `resources`, such as {"GPU": 1}, it keeps what it loads: a process of its own that takes
    them runs on each node as often as it fits, and is not started anew when it dies.
    """

    pickled: bytes
    resources: Mapping[str, int] | None = None


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
    function: Function = pickle.loads(connection.recv_bytes())  # noqa: S301
    work = _Actors(function) if function.resources else _Tasks(function)
    connection.send(work.count)
    while True:
        message = connection.recv_bytes()
        if message == NEXT:
            # What is not referred to any more leaves the object store.
            connection.send(work.result())
        else:
            work.submit(message)


class _Tasks:
    """Items on any core of the cluster. What dies is started anew elsewhere."""

    def __init__(self, function: Function) -> None:
        import ray

        self.count = max(1, int(ray.cluster_resources().get("CPU", 0)))
        self._run = ray.remote(num_cpus=1, max_retries=RETRIES)(ray_task.run)
        self._shared = ray.put(function.pickled), ray.put(ray_task.libraries())
        self._waiting = deque[Any]()

    def submit(self, item: bytes) -> None:
        function, libraries = self._shared
        self._waiting.append(self._run.remote(function, item, libraries))

    def result(self) -> bytes:
        import ray

        return bytes(ray.get(self._waiting.popleft()))


@dataclass(frozen=True)
class _Asked:
    """An item, the actor that has it and the reference to its result."""

    item: bytes
    actor: Any
    result: Any


class _Actors:
    """Items for processes that keep what they have loaded. Those of one that dies go to others."""

    def __init__(self, function: Function) -> None:
        import ray

        wanted = function.resources or {}
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        self.count = sum(
            min(int(node.get(name, 0)) // amount for name, amount in wanted.items())
            for node in nodes
        )
        if not self.count:
            needed = ", ".join(f"{amount} {name}" for name, amount in wanted.items())
            raise UserError("none of its nodes has {needed}", needed=needed)
        start = ray.remote(
            num_cpus=wanted.get("CPU", 0), num_gpus=wanted.get("GPU", 0), max_restarts=0
        )(ray_task.Worker)
        self._libraries = ray.put(ray_task.libraries())
        self._actors = [start.remote(function.pickled) for _ in range(self.count)]
        self._waiting = deque[_Asked]()

    def submit(self, item: bytes) -> None:
        self._waiting.append(self._asked(item))

    def result(self) -> bytes:
        import ray

        while True:
            first = self._waiting[0]
            try:
                found = bytes(ray.get(first.result))
            except ray.exceptions.RayActorError:
                if self._actors == [first.actor]:
                    raise
                self._without(first.actor)
            else:
                self._waiting.popleft()
                return found

    def _asked(self, item: bytes) -> _Asked:
        """Hand an item to the actor that has the fewest."""
        at_work = Counter(each.actor for each in self._waiting)
        actor = min(self._actors, key=lambda each: at_work[each])
        return _Asked(item, actor, actor.run.remote(item, self._libraries))

    def _without(self, dead: Any) -> None:
        """Hand the items of an actor that has died to the others."""
        self._actors = [each for each in self._actors if each != dead]
        for at, each in enumerate(self._waiting):
            if each.actor == dead:
                self._waiting[at] = self._asked(each.item)


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
