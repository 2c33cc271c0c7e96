"""The poems that a task's rows ask for, to be decoded by rule."""

import sys
from collections.abc import Sequence
from dataclasses import replace

from wenmo.config.generate import VerseRule
from wenmo.core.errors import UserError
from wenmo.core.records import Row
from wenmo.text.asked_verse import asked_first_line, asked_form
from wenmo.text.verse_state import Verse


def asked_verses(task: str, rows: Sequence[Row], rule: VerseRule) -> dict[str, Verse]:
    """What each row's poem must keep, by the row's id; nothing for `free` and for other tasks.

    The form is the reference's, or the one that the prompt names. A first line that breaks rules
    itself is exempt from them, and a warning on stderr counts such rows. Raises UserError
    naming the row if a prompt names no form or a first line is not of the form.
    """
    if task != "poetry" or rule == "free":
        return {}
    verses = {row.id: _asked_verse(row, rule) for row in rows}
    exempt = sum(each.lenient for each in verses.values())
    if exempt:
        print(
            f"warning: generate.verse: {exempt} of {len(verses)} first lines break rules themselves"
            "; their poems keep the rules from the second line on",
            file=sys.stderr,
        )
    return verses


def _asked_verse(row: Row, rule: VerseRule) -> Verse:
    form = asked_form(row.prompt, row.output)
    place = f"{row.source} row {row.position} ({row.prompt!r})"
    if rule == "free" or form is None:
        raise UserError(f"{place}: the prompt names no form; set generate.verse to free")
    verse = Verse(rule, *form, first_line=asked_first_line(row.prompt) or "")
    if verse.breaks_rules():
        verse = replace(verse, lenient=True)
    if fault := verse.fault():
        raise UserError(f"{place}: {fault}")
    return verse
