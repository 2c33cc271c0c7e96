"""A growing text in the terminal or in a pipe, with the tones under each line of a poem."""

import re
from collections.abc import Iterator

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from wenmo.core.language import gettext, ngettext
from wenmo.text.faults import Rule
from wenmo.text.patterns import Pattern, lines_of_poem
from wenmo.text.prosody import analyse
from wenmo.text.readings import line_readings
from wenmo.text.verse import verse_lines
from wenmo.tools.prosody import tone_mark

STYLES = {"平": "green", "仄": "yellow"}
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Control characters, which could move the cursor; line break and tab are harmless."""


class Screen:
    """Standard output. With `plain`, for a pipe, it shows the texts alone."""

    def __init__(self, *, plain: bool) -> None:
        self.plain = plain
        self.console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
        self.errors = Console(
            highlight=False, markup=False, emoji=False, soft_wrap=True, stderr=True
        )

    def heading(self, text: str) -> None:
        """A name above a text."""
        self.console.print(Text(f"[{text}]", style="bold"))

    def note(self, text: str) -> None:
        """A remark; a pipe does not get it."""
        if not self.plain:
            self.console.print(Text(printable(text), style="dim"))

    def warn(self, text: str) -> None:
        """A remark that a pipe gets too, on standard error."""
        self.errors.print(Text(printable(text), style="dim"))

    def error(self, text: str) -> None:
        """An error, on standard error."""
        self.errors.print(Text(printable(text), style="red"))

    def show(self, text: Text | str) -> None:
        """Print without a line break."""
        self.console.print(text, end="")


class GrowingText:
    """One text, printed as it grows."""

    def __init__(self, screen: Screen, *, with_tones: bool) -> None:
        self.screen = screen
        self.with_tones = with_tones
        self.text = self.printed = ""

    def show(self, text: str) -> bool:
        """Print the new part of the text so far, in a pipe at its end. True: the text may go on.

        What turns out to be thinking cannot be taken back from a terminal: the answer follows it on
        a line of its own.
        """
        self.text = text
        if not self.screen.plain:
            self._print(text)
        return True

    def end(self) -> None:
        """Close the last line."""
        self._print(f"{self.text}\n")

    def _print(self, text: str) -> None:
        if not text.startswith(self.printed):
            self.screen.show("\n")
            self.printed = ""
        *whole_lines, rest = text[len(self.printed) :].split("\n")
        line = self.printed.rpartition("\n")[2]
        self.printed = text
        for piece in whole_lines:
            self.screen.show(printable(f"{piece}\n"))
            if self.with_tones and (tones := tones_under(line + piece)):
                self.screen.show(tones.append("\n"))
            line = ""
        self.screen.show(printable(rest))


def printable(text: str) -> str:
    """The text with control characters replaced."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def tones_under(line: str) -> Text:
    """The tone marks of a verse line, each below its character; empty if there is no verse."""
    marked, at = Text(), 0
    for verse in verse_lines(line):
        start = line.index(verse, at)
        marked.append(" " * cell_len(line[at:start]))
        for character, mark in _tones(verse):
            # A mark is two columns wide, as a Chinese character is.
            wide = cell_len(character) == cell_len(mark)
            marked.append(mark if wide else " " * cell_len(character), STYLES.get(mark, "dim"))
        at = start + len(verse)
    return marked


def _tones(verse: str) -> Iterator[tuple[str, str]]:
    return zip(verse, map(tone_mark, line_readings(verse)), strict=True)


def poem_facts(text: str, tune: Pattern = "") -> str:
    """The rhymes of a poem and its number of faults, by the rules of poems or of a tune."""
    lines = lines_of_poem(text, tune)
    if not lines:
        return gettext("no verse")
    analysis = analyse(lines, tune)
    rules = {fault.rule for fault in analysis.faults}
    if Rule.FORM in rules:
        return gettext("no form of regulated verse")
    if Rule.TUNE_LINES in rules:
        return gettext("not the lines of the tune")
    rhyme = gettext("no rhyme")
    if names := analysis.rhyme_names:
        rhyme = gettext("rhyme {rhyme}", rhyme=names)
    faults = ngettext("{count} fault", "{count} faults", len(analysis.faults))
    return gettext("{rhyme}, {faults}", rhyme=rhyme, faults=faults)
