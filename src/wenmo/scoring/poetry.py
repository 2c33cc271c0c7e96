"""Poems: whether a text is the poem that was asked for, and whether it keeps the rules of verse."""

from collections.abc import Collection

from wenmo.text.asked_verse import asked_first_line, asked_tune
from wenmo.text.faults import LEAST_DIFFERENT, TONE_RULES, Rule
from wenmo.text.faults import different_characters as share_of_different
from wenmo.text.patterns import Pattern, has_pattern, lines_of_poem
from wenmo.text.prosody import analyse, rhymes
from wenmo.text.verse import form, verse_lines

_NO_VERSE = frozenset({Rule.FORM, Rule.CHARACTER, Rule.TUNE_LINES})


def exact_form(text: str, reference: str, tune: Pattern = "") -> bool:
    """Whether the text has the reference's number of lines and of characters per line.

    A text to a tune has the lines and stanzas of the tune.
    """
    if tune:
        return has_pattern(text, tune)
    wanted = form(verse_lines(reference))
    return wanted is not None and form(verse_lines(text)) == wanted


def rhymed(text: str, tune: Pattern = "") -> bool:
    """Whether all lines that should rhyme do, in a text that does not repeat itself.

    Those are the even lines, or the ones that a tune's pattern says (`prosody.rhymes`).
    """
    return rhymes(lines_of_poem(text, tune), tune) and different_characters(text) >= LEAST_DIFFERENT


def tones_kept(text: str, tune: Pattern = "") -> bool:
    """Whether a text is regulated verse, or to a tune, and breaks none of its TONE_RULES.

    A text of another form, with other than Chinese characters in its lines, or with fewer than
    LEAST_DIFFERENT different ones, does not: a few characters of either tone keep all rules. Leave
    out rows whose reference is neither regulated verse nor to a tune: they have no tone rules.
    """
    faults = analyse(lines_of_poem(text, tune), tune).faults
    broken = any(fault.rule in TONE_RULES | _NO_VERSE for fault in faults)
    return not broken and different_characters(text) >= LEAST_DIFFERENT


def tone_share(text: str, tune: Pattern = "") -> float:
    """Share of the checks of TONE_RULES that pass, 0 to 1.

    A line is checked at characters 2-4-6 and, except the first, at its end and for opposition or
    adhesion to the line before. Shuffled lines of Tang poems have 0.80 to 0.85 (bench/prosody.md).
    To a tune it is checked wherever the pattern has a tone. A text that is not of the form, or that
    repeats itself, has 0, as in `tones_kept`.
    """
    analysis = analyse(lines_of_poem(text, tune), tune)
    if any(fault.rule in _NO_VERSE for fault in analysis.faults):
        return 0.0
    if different_characters(text) < LEAST_DIFFERENT:
        return 0.0
    broken = sum(fault.rule in TONE_RULES for fault in analysis.faults)
    return 1 - broken / analysis.checks


def first_line_kept(prompt: str, text: str) -> bool | None:
    """Whether the text opens with the first line that the prompt gives; None if it gives none."""
    asked = asked_first_line(prompt)
    return lines_of_poem(text, asked_tune(prompt))[:1] == [asked] if asked else None


def different_characters(text: str) -> float:
    """Share of the characters in verse lines that are different, 0 to 1.

    Tang quatrains have 1.0 in the median and 0.8 at the first percentile. A text without lines has
    0, so that silence is not a merit.
    """
    return share_of_different(verse_lines(text))


def repeated_lines(text: str) -> float:
    """Share of the lines that occur earlier in the text, 0 to 1; lower is better.

    A text without lines has 1, as in `sequence_repetition`, so that silence is not a merit.
    """
    lines = verse_lines(text)
    return 1 - len(set(lines)) / len(lines) if lines else 1.0


def copied_lines(text: str, learnt: Collection[str]) -> float:
    """Share of the lines after the first that a training poem has too, 0 to 1; lower is better.

    The first line is left out, since the prompt gives it. A text without further lines has 0, as in
    `wenmo.scoring.copying`, which is not a merit.
    """
    lines = verse_lines(text)[1:]
    return sum(line in learnt for line in lines) / len(lines) if lines else 0.0
