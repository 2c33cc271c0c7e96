"""What a process of a Ray cluster does with an item.

Its code is that of the machine that asks, since Ray brings the package along. Its libraries are the
node's own, and must be the same.
"""

import pickle
import tomllib
import traceback
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from wenmo.core.errors import UserError
from wenmo.core.fingerprints import SOURCE
from wenmo.core.language import gettext

Libraries = tuple[tuple[str, str], ...]


def run(function: bytes, item: bytes, wanted: Libraries) -> bytes:
    """The result of a pickled function for a pickled item, or the error that it raises, pickled."""
    result: object
    try:
        _refuse_other_libraries(wanted)
        result = pickle.loads(function)(pickle.loads(item))  # noqa: S301
    except Exception as error:
        # A pickle has no traceback.
        error.add_note(traceback.format_exc())
        result = error
    return pickle.dumps(result)


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
