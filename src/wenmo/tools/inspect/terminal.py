"""What is known of a task's preparation, as text for the terminal."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from wenmo.core.language import N_, gettext, ngettext
from wenmo.report.overview import counted_reasons, texts_read
from wenmo.text.control_characters import visible
from wenmo.tools.inspect.facts import COUNTS, Drop, Inspection, Source, shortened

MOST_SOURCES = 20
LONGEST_HEADING = 14
"""Characters, each of which may take two columns."""

BAR_WIDTH = 50

FACTS = (N_("encoding"), N_("wrapped at"), N_("chapters"), N_("first"), N_("last"))
"""Columns that are left out where no source has anything in them."""


def terminal_page(found: Inspection, page: Path) -> str:
    """Counts, sources, what was left out, and lengths. `page` has the sources that are too many."""
    sources, more = sources_table(found.sources), len(found.sources) - MOST_SOURCES
    if more > 0:
        sources += "\n" + gettext(
            "{more:,} more, with more rows per character, are in {page}", more=more, page=page
        )
    unit = gettext("Read, kept and left out are counted in characters, without white space.")
    blocks = [
        "\n".join([*texts_read(found.task), *(f"! {note()}" for note in found.notes)]),
        f"{sources}\n{unit}",
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
    total = Source(gettext("sum"), **counts, dropped={})
    table = pd.DataFrame([_cells(source) for source in [*shown, total]])
    empty = [fact for fact in FACTS if not any(table[fact])]
    if all(source.documents == 1 for source in sources):
        empty.append("texts")
    table = table.drop(columns=empty)
    right = {"chapters", "texts", "read", "kept", "rows"}
    alignment = ["right" if column in right else "left" for column in table]
    table.columns = [gettext(column) for column in table]
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
    caption = gettext("Lengths of the rows in characters, line breaks included.")
    return "\n".join([caption, gettext("  from    rows"), *lines])


def left_out(source: Source) -> str:
    """The characters of a source that were left out, by reason."""
    return counted_reasons(source.dropped)


def _cells(source: Source) -> dict[str, str]:
    headings = [shortened(each, LONGEST_HEADING) for each in source.headings]
    first, last = (headings[0], headings[-1]) if headings else ("", "")
    chapters = f"{len(headings):,}" if headings else ""
    facts = (source.encoding, source.wrapping(), chapters, first, last)
    return {
        N_("source"): visible(source.name),
        **dict(zip(FACTS, facts, strict=True)),
        N_("texts"): f"{source.documents:,}",
        N_("read"): f"{source.characters_read:,}",
        N_("kept"): f"{source.characters:,}",
        N_("rows"): f"{source.rows:,}",
        N_("left out"): left_out(source),
    }


def _told(drop: Drop) -> Iterator[str]:
    characters = ngettext("{count:,} character", "{count:,} characters", drop.characters)
    if drop.pieces is not None:
        times = ngettext("{count:,} time", "{count:,} times", drop.pieces)
        characters = gettext("{times}, {characters}", times=times, characters=characters)
    reason = gettext(drop.reason)
    yield gettext("left out as {reason}: {amount}", reason=reason, amount=characters)
    for source, text in drop.examples:
        yield "    " + gettext("{source}: {text}", source=source, text=text)
