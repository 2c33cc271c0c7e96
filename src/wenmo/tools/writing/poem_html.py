"""Texts as escaped HTML: a poem with its tones and rhyme in colours, and the facts below a text."""

from collections.abc import Iterator

from markupsafe import Markup

from wenmo.core.language import gettext, ngettext
from wenmo.scoring.repetition import sequence_repetition
from wenmo.text.faults import Analysis, Rule
from wenmo.text.prosody import analyse
from wenmo.text.verse import verse_lines
from wenmo.tools.prosody import tone_mark
from wenmo.tools.writing.writer import STOPPED

NGRAM = 4
_CLASSES = {"平": "level", "仄": "oblique"}


def text_html(text: str) -> Markup:
    """A text's paragraphs."""
    paragraphs = Markup("").join(Markup("<p>{}</p>").format(line) for line in text.split("\n"))
    return Markup('<div class="text">{}</div>').format(paragraphs)


def poem_html(text: str) -> Markup:
    """A poem by lines, each character above its tone; rhyme words and faults are marked."""
    verses = verse_lines(text)
    if not verses:
        return text_html(text)
    analysis, rest = analyse(verses), text
    pieces = []
    for number, verse in enumerate(verses, 1):
        between, _, rest = rest.partition(verse)
        pieces += [_between(between), *_characters(analysis, number)]
    poem = Markup("").join([*pieces, _between(rest)])
    return Markup('<div class="text poem"><p>{}</p></div>').format(poem)


def facts(text: str, finish_reason: str, seed: int, task: str) -> Markup:
    """Length, repetition, for a poem rhyme and faults, seed, and whether it was cut or stopped.

    An empty `finish_reason` means that the text still grows.
    """
    length = len("".join(text.split()))
    found = [ngettext("{count} character", "{count} characters", length)]
    if len(text) >= NGRAM:
        share = f"{sequence_repetition(text, NGRAM):.0%}"
        found.append(gettext("{share} repeated", share=share))
    if task == "poetry" and (lines := verse_lines(text)):
        analysis = analyse(lines)
        rhyme = analysis.rhyme_names
        found.append(gettext("rhyme {rhyme}", rhyme=rhyme) if rhyme else gettext("no rhyme"))
        found.append(ngettext("{count} fault", "{count} faults", len(analysis.faults)))
    found.append(gettext("seed {seed}", seed=seed))
    if finish_reason == "length":
        found.append(gettext("cut at the longest text"))
    elif finish_reason == STOPPED:
        found.append(gettext("stopped"))
    classes = "facts ended" if finish_reason else "facts"
    return Markup('<p class="{}">{}</p>').format(classes, " · ".join(found))


def _characters(analysis: Analysis, number: int) -> Iterator[Markup]:
    """The characters of verse line `number` (from 1); one that is not Chinese has no tone."""
    line, readings = analysis.lines[number - 1], analysis.readings[number - 1]
    faults = [fault for fault in analysis.faults if fault.line == number]
    faulty = {fault.character for fault in faults}
    not_chinese = {fault.character for fault in faults if fault.rule is Rule.CHARACTER}
    for at, (character, found) in enumerate(zip(line, readings, strict=True), 1):
        mark = tone_mark(found)
        is_rhyme = at == len(line) and number in analysis.rhyme_words
        classes = [_CLASSES.get(mark, "either")]
        classes += ["rhyme"] if is_rhyme else []
        classes += ["fault"] if at in faulty else []
        if at in not_chinese:
            yield Markup('<span class="fault">{}</span>').format(character)
        else:
            yield Markup('<ruby class="{}">{}<rt>{}</rt></ruby>').format(
                " ".join(classes), character, mark
            )


def _between(text: str) -> Markup:
    """Punctuation and line breaks."""
    return Markup("<br>").join(text.split("\n"))
