"""Which models a demo writes with: those in models/, or those of an endpoint."""

import sys
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

from wenmo.config import params_file
from wenmo.config.poetry import PrepareParams
from wenmo.core.errors import UserError
from wenmo.tools.writing.endpoint import EndpointWriter
from wenmo.tools.writing.local import LocalWriter, trained
from wenmo.tools.writing.screen import Screen
from wenmo.tools.writing.session import Choice, Session
from wenmo.tools.writing.writer import TaskParams, Writer

if TYPE_CHECKING:
    from gradio import Blocks

FAVOURITE = "poetry"
"""The task of whoever names none: its texts are short, and their form can be seen."""


def open_writer(endpoint: str, tasks: Sequence[str], *, only_trained: bool = False) -> Writer:
    """The writer of these tasks; with `only_trained` of those among them that have a model.

    Raises UserError if there is none.
    """
    if endpoint:
        return EndpointWriter(endpoint, tasks)
    return LocalWriter((trained(tasks) if only_trained else tasks) or tasks)


def open_session(writer: Writer, choice: Choice, *, tones: bool | None) -> Session:
    """A session on standard output, with tones under poems as asked, or else in a terminal."""
    plain = not sys.stdout.isatty()
    return Session(
        writer=writer,
        screen=Screen(plain=plain),
        choice=choice,
        poem_prompts=poem_prompts(),
        with_tones=not plain if tones is None else tones,
    )


def open_page(writer: Writer) -> "Blocks":
    """The page of these models. Raises UserError where Gradio is not installed."""
    if find_spec("gradio") is None:
        raise UserError(
            "Gradio is not installed; `pip install -c constraints.txt -e '.[demo]'` brings it"
        )
    from wenmo.tools.writing.web_page import Desk, build

    sampling = {task: TaskParams.load(task).generate.sampling for task in writer.tasks}
    return build(Desk(writer, sampling, params_file.seed(), poem_prompts(), writer.models))


def poem_prompts() -> str:
    """What poems were asked for by in training."""
    return PrepareParams.load("prepare", "poetry").prompts


def favourite(tasks: Sequence[str]) -> str:
    """The task to begin with."""
    return FAVOURITE if FAVOURITE in tasks else tasks[0]


def piped_lines() -> Iterator[str]:
    """The lines of standard input. Raises UserError for one that is not in UTF-8."""
    for number, line in enumerate(sys.stdin.buffer, 1):
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            raise UserError(f"standard input:{number}: not UTF-8") from None
