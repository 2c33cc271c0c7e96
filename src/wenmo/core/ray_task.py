"""What a process of a Ray cluster does with an item.

Its code is that of the machine that asks, since Ray brings the package along. Its libraries are the
node's own, and must be the same.
"""

import pickle
import tomllib
import traceback
from collections.abc import Callable
from functools import cache, cached_property
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from wenmo.core.errors import UserError
from wenmo.core.fingerprints import SOURCE
from wenmo.core.language import gettext

Libraries = tuple[tuple[str, str], ...]


class Worker:
    """A pickled function, which keeps from item to item what it has loaded."""

    def __init__(self, function: bytes) -> None:
        self._pickled = function

    @cached_property
    def _function(self) -> Callable[[Any], Any]:
        # Not when the process starts, where Ray would tell of an error in words of its own.
        return pickle.loads(self._pickled)  # type: ignore[no-any-return]  # noqa: S301

    def run(self, item: bytes, wanted: Libraries) -> bytes:
        """The result for a pickled item, or the error that the function raises, pickled."""
        result: object
        try:
            _refuse_other_libraries(wanted)
            result = self._function(pickle.loads(item))  # noqa: S301
        except Exception as error:
            # A pickle has no traceback.
            error.add_note(traceback.format_exc())
            result = error
        return pickle.dumps(result)


def run(function: bytes, item: bytes, wanted: Libraries) -> bytes:
    """What a worker makes of its only item."""
    return Worker(function).run(item, wanted)


def libraries() -> Libraries:
    """The libraries that pyproject.toml pins, each with the version that is installed here."""
    project = tomllib.loads((SOURCE.parent / "pyproject.toml").read_text(encoding="utf-8"))
    names = [pin.partition("==")[0].partition("[")[0] for pin in project["project"]["dependencies"]]
    return tuple((name, _installed(name)) for name in names)


@cache
def _refuse_other_libraries(wanted: Libraries) -> None:
    """Raise UserError if a node lacks a library or has another version of it."""
    for name, there in wanted:
        here = _installed(name)
        if here != there:
            import ray

            raise UserError(
                "node {node} has {name} {here}, where this machine has {there}; install wenmo there"
                " with the same versions: `pip install -c constraints.txt -e '.[cluster]'`",
                node=ray.util.get_node_ip_address(),
                name=name,
                here=here or gettext("not at all"),
                there=there or gettext("nothing of it"),
            )


def _installed(name: str) -> str:
    """The version of a library, without the part that tells a build for GPUs; empty if missing."""
    try:
        return version(name).partition("+")[0]
    except PackageNotFoundError:
        return ""
