"""Sections of labelled lines as text for a terminal: labels left, wrapped values beside them."""

from collections.abc import Sequence
from io import StringIO

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from wenmo.text.control_characters import visible
from wenmo.tools.trace.card import Section


def page(sections: Sequence[Section], width: int) -> str:
    """The sections in lines of at most `width` columns; a Chinese character takes two columns."""
    labels = max(cell_len(label) for _, lines in sections for label, _ in lines)
    text = StringIO()
    console = Console(file=text, width=width, color_system=None)
    for heading, lines in sections:
        console.print(Text(visible(heading)), soft_wrap=False)
        table = Table.grid(padding=(0, 2))
        table.add_column(width=labels, no_wrap=True)
        table.add_column(overflow="fold")
        for label, value in lines:
            table.add_row(Text(f"{label}"), Text(visible(value)))
        console.print(table)
        console.print()
    return "\n".join(line.rstrip() for line in text.getvalue().rstrip().splitlines())
