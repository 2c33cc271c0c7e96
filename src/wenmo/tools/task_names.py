"""The tasks that a command is about."""

from collections.abc import Iterable

from wenmo.config import params_file
from wenmo.config.params_file import TASKS
from wenmo.core.errors import WrongArgumentsError


def listed_tasks() -> list[str]:
    """The tasks of params.yaml. Raises ParamsError if it has no list of them."""
    listed = params_file.value(params_file.read(), "tasks", list)
    return [task for task in TASKS if task in listed]


def refuse_unknown(tasks: Iterable[str]) -> None:
    """Raise WrongArgumentsError for the first name that is no task."""
    for task in tasks:
        if task not in TASKS:
            raise WrongArgumentsError(f"{task!r} is no task; allowed are {', '.join(TASKS)}")
