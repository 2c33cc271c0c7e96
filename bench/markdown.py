"""Tables for pages."""

Table = tuple[list[str], list[list[str]]]
"""The heads of the columns, and the lines; all but the first column are numbers."""


def table(content: Table) -> str:
    """A table in Markdown."""
    heads, rows = content
    lines = [heads, [":--", *["--:"] * (len(heads) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
