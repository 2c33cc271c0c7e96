"""The tasks that a command is about."""

from collections.abc import Iterable
from pathlib import Path

from wenmo.config import params_file
from wenmo.config.params_file import TASKS
from wenmo.core.choices import choices
from wenmo.core.errors import WrongArgumentsError
from wenmo.core.language import N_, gettext

NAMES = {"novel": N_("Novel"), "fairytale": N_("Fairy tale"), "poetry": N_("Poem")}
"""What a reader calls what is written."""

_IN_CHINESE = {"小说": "novel", "童话": "fairytale", "诗": "poetry", "古诗": "poetry"}


def listed_tasks() -> list[str]:
    """The tasks of params.yaml. Raises ParamsError if it has no list of them."""
    listed = params_file.value(params_file.read(), "tasks", list)
    return [task for task in TASKS if task in listed]


def task_left_out(task: str, root: Path = Path()) -> str:
    """What brings a task's files back if params.yaml does not run it; empty if it does.

    No stage of such a task can be asked for by name.
    """
    path = root / params_file.PARAMS_FILE
    if not path.is_file() or task in params_file.read(path).get("tasks", TASKS):
        return ""
    return gettext(
        "`tasks` of params.yaml leaves {task} out, and `git restore . && dvc checkout` brings the"
        " committed files back",
        task=task,
    )


def refuse_unknown(tasks: Iterable[str]) -> None:
    """Raise WrongArgumentsError for the first name that is no task."""
    for task in tasks:
        if task not in TASKS:
            raise WrongArgumentsError(
                "{task!r} is no task; {choices}",
                task=task,
                choices=choices(_IN_CHINESE.get(task, task), TASKS),
            )
