"""What is known of a task's preparation, as text for the terminal."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from wenmo.report.overview import counted
from wenmo.text.control_characters import visible
from wenmo.tools.inspect.facts import COUNTS, Drop, Inspection, Source, shortened

MOST_SOURCES = 20
LONGEST_HEADING = 14
"""Characters, each of which may take two columns."""

BAR_WIDTH = 50

FACTS = ("encoding", "wrapped at", "chapters", "first", "last")
"""Columns that are left out where no source has anything in them."""


def terminal_page(found: Inspection, page: Path) -> str:
    """Counts, sources, what was left out, and lengths. `page` has the sources that are too many."""
    sources, more = sources_table(found.sources), len(found.sources) - MOST_SOURCES
    if more > 0:
        sources += f"\n{more:,} more, with more rows per character, are in {page}"
    blocks = [
        "\n".join([*found.read, *(f"! {note}" for note in found.notes)]),
        sources,
        "\n".join(line for drop in found.drops for line in _told(drop)),
        length_histogram(found.lengths),
    ]
    return "\n\n".join(block for block in blocks if block)


def sources_table(sources: Sequence[Source]) -> str:
    """A line per source and their sum, in characters without white space.

    Of more than MOST_SOURCES those with the fewest rows per character are shown, these first.
    """
    shown = list(sources)
    if len(shown) > MOST_SOURCES:
        shown = sorted(shown, key=lambda source: source.rows_per_character)[:MOST_SOURCES]
    counts: dict[str, Any] = {
        count: sum(getattr(source, count) for source in sources) for count in COUNTS
    }
    total = Source("sum", **counts, dropped={})
    table = pd.DataFrame([_cells(source) for source in [*shown, total]])
    empty = [fact for fact in FACTS if not any(table[fact])]
    if all(source.documents == 1 for source in sources):
        empty.append("texts")
    table = table.drop(columns=empty)
    right = {"chapters", "texts", "read", "kept", "rows"}
    alignment = ["right" if column in right else "left" for column in table]
    return str(
        table.to_markdown(index=False, tablefmt="simple", disable_numparse=True, colalign=alignment)
    )


def length_histogram(lengths: pd.DataFrame) -> str:
    """A bar per bin of row lengths, in characters."""
    most = lengths["rows"].max()
    lines = (
        f"{characters:>6} {rows:>7,} {'█' * -(-rows * BAR_WIDTH // most)}"
        for characters, rows in lengths.itertuples(index=False)
    )
    return "\n".join(["  from    rows", *lines])


def left_out(source: Source) -> str:
    """The characters of a source that were left out, by reason."""
    return ", ".join(f"{count:,} {reason}" for reason, count in source.dropped.items())


def _cells(source: Source) -> dict[str, str]:
    headings = [shortened(each, LONGEST_HEADING) for each in source.headings]
    first, last = (headings[0], headings[-1]) if headings else ("", "")
    chapters = f"{len(headings):,}" if headings else ""
    facts = (source.encoding, source.wrapping, chapters, first, last)
    return {
        "source": visible(source.name),
        **dict(zip(FACTS, facts, strict=True)),
        "texts": f"{source.documents:,}",
        "read": f"{source.characters_read:,}",
        "kept": f"{source.characters:,}",
        "rows": f"{source.rows:,}",
        "left out": left_out(source),
    }


def _told(drop: Drop) -> Iterator[str]:
    pieces = "" if drop.pieces is None else f"{counted(drop.pieces, 'times')}, "
    yield f"left out as {drop.reason}: {pieces}{counted(drop.characters, 'characters')}"
    for source, text in drop.examples:
        yield f"    {source}: {text}"
