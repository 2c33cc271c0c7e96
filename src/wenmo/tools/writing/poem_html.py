"""Texts as escaped HTML: a poem with its tones and rhyme in colours, and the facts below a text."""

from collections.abc import Callable, Collection, Iterator
from functools import partial

from markupsafe import Markup

from wenmo.core.language import gettext, ngettext
from wenmo.scoring.repetition import sequence_repetition
from wenmo.text.faults import Analysis, Rule
from wenmo.text.patterns import Pattern, is_tune, lines_of_poem, without_letters
from wenmo.text.prosody import analyse
from wenmo.tools.prosody import tone_mark
from wenmo.tools.writing.writer import STOPPED

NGRAM = 4
_NONE: tuple[str, Callable[[bool], Markup]] = ("", lambda forced: Markup(""))
_PLACES = "平仄中"
_CLASSES = {"平": "level", "仄": "oblique"}


def text_html(text: str) -> Markup:
    """A text's paragraphs."""
    lines = _without_nul(text).split("\n")
    paragraphs = Markup("").join(Markup("<p>{}</p>").format(line) for line in lines)
    return Markup('<div class="text">{}</div>').format(paragraphs)


def poem_html(
    text: str, asked: Pattern = "", forced: Collection[int] = (), *, is_open: bool = False
) -> Markup:
    """A poem by lines, each character above its tone; rhyme words and faults are marked.

    A poem to a tune is judged by the pattern that is `asked` for. While it `is_open`, the places
    to come stand behind the text. `forced` are the places of characters to be marked, from 0.
    """
    text = _without_nul(text)
    tune = asked if is_tune(asked) else ""
    verses = lines_of_poem(text, tune)
    if not verses and not is_open:
        return text_html(text)
    analysis = analyse(verses, tune)
    pieces, characters = [], iter(_characters(analysis))
    verse, html = next(characters, _NONE)
    for place, character in enumerate(text):
        if character == verse:
            pieces.append(html(place in forced))
            verse, html = next(characters, _NONE)
        else:
            pieces.append(_between(character))
    to_come = without_letters(asked)[len(text) :] if is_open else ""
    pieces += [_open(each, is_toned=bool(tune)) for each in to_come]
    return Markup('<div class="text poem"><p>{}</p></div>').format(Markup("").join(pieces))


def facts(text: str, finish_reason: str, seed: int, task: str, tune: Pattern = "") -> Markup:
    """Length, repetition, for a poem rhyme and faults, seed, and whether it was cut or stopped.

    An empty `finish_reason` means that the text still grows.
    """
    length = len("".join(text.split()))
    found = [ngettext("{count} character", "{count} characters", length)]
    if len(text) >= NGRAM:
        share = f"{sequence_repetition(text, NGRAM):.0%}"
        found.append(gettext("{share} repeated", share=share))
    lines = lines_of_poem(text, tune)
    if task == "poetry" and lines:
        analysis = analyse(lines, tune)
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


def _without_nul(text: str) -> str:
    """A browser drops NUL, which a model of bytes may write, so that the page would show too few.

    https://html.spec.whatwg.org/multipage/parsing.html#parse-error-unexpected-null-character
    """
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


def _characters(analysis: Analysis) -> Iterator[tuple[str, Callable[[bool], Markup]]]:
    """Each character of the verse lines with its HTML, by whether it is forced."""
    rhyming = analysis.rhyme_words
    faults = {(each.line, each.character): each.rule for each in analysis.faults}
    for number, line in enumerate(analysis.lines, 1):
        for at, character in enumerate(line, 1):
            mark = tone_mark(analysis.readings[number - 1][at - 1])
            classes = [_CLASSES.get(mark, "either")]
            classes += ["rhyme"] if at == len(line) and number in rhyming else []
            classes += ["fault"] if (number, at) in faults else []
            if faults.get((number, at)) is Rule.CHARACTER:
                # One that is not Chinese has no tone.
                yield character, partial(_strange, character)
            else:
                yield character, partial(_toned, character, mark, classes)


def _strange(character: str, forced: bool) -> Markup:
    return Markup('<span class="fault">{}</span>').format(character)


def _toned(character: str, mark: str, classes: list[str], forced: bool) -> Markup:
    names = " ".join([*classes, "forced"] if forced else classes)
    return Markup('<ruby class="{}">{}<rt>{}</rt></ruby>').format(names, character, mark)


def _open(place: str, *, is_toned: bool) -> Markup:
    """A place to come: a mark, a line break or a character, in a tune with the tone asked for."""
    if place not in _PLACES:
        return _between(place)
    return Markup('<ruby class="open">□<rt>{}</rt></ruby>').format(place if is_toned else "")


def _between(text: str) -> Markup:
    """Punctuation and line breaks."""
    return Markup("<br>").join(text.split("\n"))
