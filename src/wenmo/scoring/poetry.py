"""Whether a text is the poem that was asked for, and how far it keeps the rules of verse."""

import re
from collections.abc import Collection

from wenmo.text.prosody import TONE_RULES, Rule, analyse, rhymes
from wenmo.text.verse import form, verse_lines

# How wenmo.tasks.poetry words a request by first line.
_FIRST_LINE = re.compile(r"以“([^”]+)”为首句")
_NO_VERSE = frozenset({Rule.FORM, Rule.CHARACTER})


def exact_form(text: str, reference: str) -> bool:
    """Whether the text has the reference's number of lines and of characters a line."""
    wanted = form(verse_lines(reference))
    return wanted is not None and form(verse_lines(text)) == wanted


def rhymed(text: str) -> bool:
    """Whether all even lines share a 平水 rhyme."""
    return rhymes(verse_lines(text))


def tones_kept(text: str) -> bool:
    """Whether a text is regulated verse and breaks none of prosody's TONE_RULES.

    A text of another form, or with anything but Chinese characters in its lines, is not. What was
    asked for in lines of another length than 5 or 7 has no tone rules: leave such rows out.
    """
    faults = analyse(verse_lines(text)).faults
    return not any(fault.rule in TONE_RULES | _NO_VERSE for fault in faults)


def tone_share(text: str) -> float:
    """1 - broken / checked: how much of what prosody's TONE_RULES ask is kept; 0 to 1.

    A line is checked at characters 2-4-6 and at its end (the first line's is free), and each line
    but the first for its opposition or adhesion to the line before. Shuffled lines of Tang poems
    have 0.80 to 0.85 (bench/prosody.md). A text that is no regulated verse has 0, as in
    `tones_kept`.
    """
    analysis = analyse(verse_lines(text))
    if any(fault.rule in _NO_VERSE for fault in analysis.faults):
        return 0.0
    broken = sum(fault.rule in TONE_RULES for fault in analysis.faults)
    return 1 - broken / analysis.checks


def first_line_kept(prompt: str, text: str) -> bool | None:
    """Whether the first line that the prompt gives is the text's; None if it gives none."""
    asked = _FIRST_LINE.search(prompt)
    return verse_lines(text)[:1] == [asked[1]] if asked else None


def repeated_lines(text: str) -> float:
    """Share of the lines that stand in the text before; lower is better.

    1 for a text without any line, like seq-rep-n, so that silence is no merit.
    """
    lines = verse_lines(text)
    return 1 - len(set(lines)) / len(lines) if lines else 1.0


def copied_lines(text: str, learnt: Collection[str]) -> float:
    """Share of the lines after the first that stand in a training poem; lower is better.

    The first line is left out, since prompts give it. 0 for a text without others, as in
    `wenmo.scoring.copying`: a bound that is kept, and no merit.
    """
    lines = verse_lines(text)[1:]
    return sum(line in learnt for line in lines) / len(lines) if lines else 0.0
