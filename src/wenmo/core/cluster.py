"""A Ray cluster, as the process sees it whose work it does.

Ray ends its driver at once, without an exception, if the cluster's head dies. The driver is
therefore a process of its own (core/ray_driver.py), and its end is told here in one line.
"""

import pickle
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.util import find_spec
from multiprocessing import Pipe
from pathlib import Path
from typing import Any, Generic, TypeVar

from tqdm import tqdm

from wenmo.core import ray_driver
from wenmo.core.errors import UserError, WrongArgumentsError
from wenmo.core.language import gettext

Item = TypeVar("Item")
Result = TypeVar("Result")

VARIABLE = "WENMO_CLUSTER"
ADDRESS = re.compile(r"auto|(ray://)?[^\s/]+:\d{1,5}")
"""What the variable may be: a cluster that this machine is part of, a head, or a Ray Client."""

WAITING = 2
"""Items that wait for each process of the cluster."""

CONNECT_SECONDS = 120

NEWS_SECONDS = 60
"""After so long without a result the user is told what is waited for."""

END_SECONDS = 10

DRIVER = f"from {ray_driver.__name__} import main; main()"


class Cluster(Generic[Item, Result]):
    """Processes of a Ray cluster.

    `at_once` follows from the cores that the cluster has when it is reached. With `resources`,
    such as {"GPU": 1}, each process takes these and keeps what the function loads in it.
    """

    def __init__(
        self,
        function: Callable[[Item], Result],
        address: str,
        resources: Mapping[str, int] | None = None,
    ) -> None:
        if not ADDRESS.fullmatch(address):
            raise WrongArgumentsError(
                "{variable} is {address!r}; allowed are auto, host:port and ray://host:port",
                variable=VARIABLE,
                address=address,
            )
        if find_spec("ray") is None:
            raise UserError(
                "{variable} is {address}, and Ray is not installed: `pip install -e '.[cluster]'`",
                variable=VARIABLE,
                address=address,
            )
        self._address = address
        self._log = Path("logs/cluster.log")
        self._log.parent.mkdir(parents=True, exist_ok=True)
        self._connection, there = Pipe()
        with self._log.open("w", encoding="utf-8") as log, there:
            self._driver = subprocess.Popen(  # noqa: S603
                [sys.executable, "-c", DRIVER, str(there.fileno()), address],
                pass_fds=[there.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C is for this process, which then ends the driver.
                start_new_session=True,
            )
        try:
            pickled = pickle.dumps(function)
            self._send(pickle.dumps(ray_driver.Function(pickled, resources)))
            if not self._connection.poll(CONNECT_SECONDS):
                fault = gettext("no answer in {seconds} s", seconds=CONNECT_SECONDS)
                raise self._failed(fault)
            self.at_once = WAITING * self._received()
        except BaseException:
            self.end()
            raise

    def submit(self, item: Item) -> None:
        """Let a core of the cluster compute the function for one more item."""
        self._send(pickle.dumps(item))

    def result(self) -> Result:
        """The first result that has not been asked for.

        Raises UserError if the cluster ends, and what the function has raised.
        """
        self._send(ray_driver.NEXT)
        result: Result | Exception = pickle.loads(self._received())  # noqa: S301
        if isinstance(result, Exception):
            raise result
        return result

    def end(self) -> None:
        """End the driver. Ray then ends the tasks that it has started."""
        self._connection.close()
        self._driver.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._driver.wait(END_SECONDS)
        self._driver.kill()
        self._driver.wait()

    def _send(self, message: bytes) -> None:
        try:
            self._connection.send_bytes(message)
        except OSError:
            raise self._failed(gettext("lost")) from None

    def _received(self) -> Any:
        try:
            while not self._connection.poll(NEWS_SECONDS):
                told = gettext(
                    "{address}: no news for {seconds} seconds; `ray status` tells what its nodes"
                    " do",
                    address=self._address,
                    seconds=NEWS_SECONDS,
                )
                tqdm.write(told, file=sys.stderr)
            message = self._connection.recv()
        except (EOFError, OSError):
            raise self._failed(gettext("lost")) from None
        if isinstance(message, ray_driver.Failure):
            raise self._failed(message.reason)
        return message

    def _failed(self, fault: str) -> UserError:
        return UserError(
            "Ray cluster {address}: {fault}; see {log}, start the cluster and run the same command"
            " again, or leave {variable} empty to work on this machine",
            address=self._address,
            fault=fault,
            log=self._log,
            variable=VARIABLE,
        )
