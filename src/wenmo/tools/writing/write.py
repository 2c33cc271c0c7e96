"""`wenmo write`: one text, a session in the terminal, or a text per line of a pipe."""

import sys
from collections.abc import Iterator, Sequence
from typing import cast

from wenmo.config import params_file
from wenmo.config.generate import VerseRule
from wenmo.core.errors import UserError
from wenmo.core.language import gettext
from wenmo.tools.task_names import listed_tasks, refuse_unknown
from wenmo.tools.writing.open_writer import open_writer
from wenmo.tools.writing.screen import Screen
from wenmo.tools.writing.session import Session, Settings, converse, history_file
from wenmo.tools.writing.wording import poem_prompts

DEFAULT_TASK = "poetry"
"""Its texts are short, and their form can be seen."""


def write(
    prompt: str,
    task: str | None,
    model: str,
    form: str,
    seed: int | None,
    temperature: float | None,
    tones: bool | None,
    endpoint: str,
    verse: str | None = None,
    rhyme: str | None = None,
) -> bool:
    """Write about a prompt, or without one about what is typed or piped.

    Returns False if Ctrl-C ended a text. Raises UserError for a wrong value or a missing model.
    """
    refuse_unknown([task] if task else [])
    in_terminal = not prompt and sys.stdin.isatty()
    # In a session the task can change, so that all are loaded.
    tasks = [task] if task and not in_terminal else listed_tasks()
    writer = open_writer(endpoint, tasks, only_trained=not task)
    plain = not sys.stdout.isatty()
    session = Session(
        writer=writer,
        screen=Screen(plain=plain),
        settings=Settings(
            task=task or default_task(writer.tasks),
            model=model,
            form=form,
            seed=params_file.seed() if seed is None else seed,
            temperature=temperature,
            # The session checks it.
            verse=cast(VerseRule | None, verse),
            rhyme=rhyme,
        ),
        poem_prompts=poem_prompts(),
        with_tones=not plain if tones is None else tones,
    )
    session.screen.note(gettext("reading the models"))
    writer.read()
    if in_terminal:
        converse(session, history_file())
        return True
    for line in [prompt] if prompt else piped_lines():
        session.answer(line)
        if session.stopped:
            return False
    return True


def default_task(tasks: Sequence[str]) -> str:
    """The task for a command that names none."""
    return DEFAULT_TASK if DEFAULT_TASK in tasks else tasks[0]


def piped_lines() -> Iterator[str]:
    """The lines of standard input. Raises UserError for a line that is not in UTF-8."""
    for number, line in enumerate(sys.stdin.buffer, 1):
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            raise UserError("standard input:{number}: not UTF-8", number=number) from None
