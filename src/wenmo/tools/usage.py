"""What is wrong with a command line, in the reader's language: typer words it in English alone."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from string import Formatter
from typing import Any

import typer

from wenmo.core.language import N_, gettext, language

BY_TYPER = (
    N_("No such option: {name} (Possible options: {others})"),
    N_("No such option: {name}"),
    N_("No such command {name}. Did you mean {others}?"),
    N_("No such command {name}."),
    N_("Missing command."),
    N_("Missing argument {name}."),
    N_("Missing option {name}."),
    N_("Option {name} requires an argument."),
    N_("Option {name} does not take a value."),
    N_("Got unexpected extra argument(s) ({extra})"),
    N_("Invalid value for {name}: {reason}"),
    N_("Value error, {value} is not one of {choices}."),
    N_("file {path} does not exist."),
    N_("file {path} is a directory."),
    N_("dir {path} is a file."),
    N_("Input should be a valid integer, unable to parse string as an integer"),
    N_("Input should be a valid number, unable to parse string as a number"),
    N_("Input should be greater than or equal to {ge}"),
    N_("Input should be less than or equal to {le}"),
)
"""Its messages, the longer before those that they begin with."""


PIECES = (
    *(N_("[OPTIONS]"), N_("COMMAND [ARGS]..."), N_("<str>"), N_("<list[str]>"), N_("<file>")),
    *(N_("<int>"), N_("<int range>"), N_("<float>"), N_("<path>"), N_("<dir>")),
)
"""What it writes in a line of usage and beside an option for what is to be typed."""


@contextmanager
def usage_errors_retold() -> Iterator[None]:
    """Have the errors of typer that pass through here show themselves in the reader's language."""
    try:
        yield
    except typer.TyperException as error:
        # What is shown for a command without arguments is its help, which is translated already.
        if language() == "zh" and type(error).__name__ != "NoArgsIsHelpError":
            error.show = partial(_show, error)  # type: ignore[attr-defined]
        raise


def retold(message: str) -> str:
    """A message of typer in the reader's language; an unknown one stays as it is."""
    for template in BY_TYPER:
        if found := re.fullmatch(_pattern(template), message):
            return gettext(
                template, **{name: retold(each) for name, each in found.groupdict().items()}
            )
    return message


def pieces_retold(usage: str) -> str:
    """A line of usage, or an option with its type, in the reader's language."""
    for piece in PIECES:
        usage = usage.replace(piece, gettext(piece))
    return usage


def _pattern(template: str) -> str:
    parts = Formatter().parse(template)
    return "".join(
        re.escape(text) + (f"(?P<{name}>.+?)" if name else "") for text, name, *_ in parts
    )


def _show(error: Any, file: Any = None) -> None:
    """As typer does: usage, hint and error on stderr."""
    context = getattr(error, "ctx", None)
    if context is not None:
        usage = pieces_retold(context.get_usage()).replace("Usage: ", gettext("Usage: "), 1)
        command = f"{context.command_path} --help"
        hint = gettext("Try '{command}' for help.", command=command)
        typer.echo(f"{usage}\n{hint}\n", file=file, err=True)
    reason = retold(error.format_message())
    typer.echo(gettext("Error: {reason}", reason=reason), file=file, err=True)
