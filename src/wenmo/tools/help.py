"""`--help` in the reader's language: commands and options are written in English in `cli`."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from wenmo.core.language import N_, gettext, language
from wenmo.tools.usage import pieces_retold, usage_errors_retold

BY_TYPER = (N_("Arguments"), N_("Options"), N_("Commands"), N_("Show this message and exit."))

# A line of Chinese breaks between any two characters, but not before these or after an opening one.
_PIECES = re.compile(
    r"\s*[（《“「]*(?:[\u2e80-\u9fff]|[^\s\u2e80-\u9fff（《“「，。；：、！？）》”」]+)?"
    r"[，。；：、！？）》”」]*"
)
_FIRST_SENTENCE = re.compile(r"(?s).+?(?=[：。]|[:.](?:\s|$)|$)")


class Command(TyperCommand):
    """A command whose help is translated."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """As typer does."""
        _translate(self, ctx)
        super().format_help(ctx, _fitted(formatter))


class Group(TyperGroup):
    """A group of commands whose help is translated, and what is said of wrong arguments."""

    def make_context(self, *args: Any, **extra: Any) -> Any:
        """As typer does."""
        with usage_errors_retold():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: Any) -> Any:
        """As typer does."""
        with usage_errors_retold():
            return super().invoke(ctx)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """As typer does."""
        for each in (self, *self.commands.values()):
            _translate(each, ctx)
        super().format_help(ctx, _fitted(formatter))


class App(typer.Typer):
    """Makes commands of that kind."""

    def command(self, name: str | None = None, **options: Any) -> Callable[[Any], Any]:
        """As typer does."""
        return super().command(name, cls=Command, **options)


def _translate(command: Any, ctx: Any) -> None:
    """Put the translations into a command, and its first sentence, which would be cut, whole.

    A second time changes nothing.
    """
    command.help = _translated(command.help)
    command.short_help = "".join(_FIRST_SENTENCE.findall(command.help)[:1])
    for param in command.get_params(ctx):
        param.help = _translated(param.help)
        if isinstance(param.show_default, str):
            param.show_default = _translated(param.show_default)


def _translated(text: str | None) -> str:
    return gettext(text) if text else ""


def _fitted(formatter: Any) -> Any:
    """The formatter, which breaks lines of Chinese as wide as they are shown."""
    if language() == "zh":
        usage = formatter.write_usage
        formatter.write_usage = lambda program, pieces: usage(
            program, pieces_retold(pieces), prefix=gettext("Usage: ")
        )
        formatter.write_heading = lambda name: formatter.write(f"{_translated(name)}：\n")
        formatter.write_text = lambda text: _write_text(formatter, text)
        formatter.write_dl = lambda rows: _write_table(formatter, rows)
    return formatter


def _write_text(formatter: Any, text: str) -> None:
    indent = " " * formatter.current_indent
    paragraphs = (
        "\n".join(indent + line for line in _lines(each, formatter.width - len(indent)))
        for each in text.split("\n\n")
    )
    formatter.write("\n\n".join(paragraphs) + "\n")


def _write_table(formatter: Any, rows: Sequence[tuple[str, str]]) -> None:
    from rich.cells import cell_len

    longest = 30
    indent = " " * formatter.current_indent
    default, required = gettext("default: "), gettext("required")
    first_width = min(max(cell_len(pieces_retold(first)) for first, _ in rows), longest) + 2
    for first, second in rows:
        first = pieces_retold(first)
        # Typer writes a default that is told in words in parentheses.
        second = re.sub(r"\[default: \(?(.*?)\)?(?=[];])", rf"[{default}\1", second)
        second = second.replace("required]", f"{required}]")
        lines = list(_lines(second, formatter.width - first_width - 2)) or [""]
        if cell_len(first) > first_width - 2:
            formatter.write(f"{indent}{first}\n")
            first = ""
        for line in lines:
            padding = " " * (first_width - cell_len(first))
            formatter.write(f"{indent}{first}{padding}{line}".rstrip() + "\n")
            first = ""


def _lines(paragraph: str, width: int) -> Iterator[str]:
    """A paragraph in lines of at most `width` columns, if no word is longer."""
    from rich.cells import cell_len

    line = ""
    for piece in _PIECES.findall(" ".join(paragraph.split())):
        if line and cell_len(line + piece) > width:
            yield line
            line = ""
        line += piece if line else piece.lstrip()
    if line:
        yield line
