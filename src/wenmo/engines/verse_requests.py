"""The poems that a task's rows ask for, to be decoded by rule."""

import sys
from collections.abc import Sequence
from dataclasses import replace

from wenmo.config.generate import VerseRule
from wenmo.core.errors import UserError
from wenmo.core.language import gettext
from wenmo.core.records import Row
from wenmo.text.asked_verse import Verse, asked_first_line, asked_pattern


def asked_verses(task: str, rows: Sequence[Row], rule: VerseRule) -> dict[str, Verse]:
    """What each row's poem must keep, by the row's id; nothing for `free` and for other tasks.

    The tune or form is the one that the prompt names, or the reference's form. A first line that
    breaks rules itself is exempt from them, and a warning on stderr counts such rows. Raises
    UserError naming the row if a prompt names neither or a first line is not of the form.
    """
    if task != "poetry" or rule == "free":
        return {}
    verses = {row.id: _asked_verse(row, rule) for row in rows}
    exempt = sum(each.lenient for each in verses.values())
    if exempt:
        told = gettext(
            "warning: generate.verse: {exempt} of {count} first lines break rules themselves;"
            " their poems keep the rules from the second line on",
            exempt=exempt,
            count=len(verses),
        )
        print(told, file=sys.stderr)
    return verses


def _asked_verse(row: Row, rule: VerseRule) -> Verse:
    pattern = asked_pattern(row.prompt, row.output)
    if rule == "free" or pattern is None:
        raise UserError(
            "{source} row {position} ({prompt!r}): the prompt names no form and no known tune; set"
            " generate.verse to free",
            source=row.source,
            position=row.position,
            prompt=row.prompt,
        )
    verse = Verse(rule, pattern, first_line=asked_first_line(row.prompt) or "")
    if verse.breaks_rules():
        verse = replace(verse, lenient=True)
    if fault := verse.fault():
        raise UserError(
            "{source} row {position} ({prompt!r}): {fault}",
            source=row.source,
            position=row.position,
            prompt=row.prompt,
            fault=fault,
        )
    return verse
