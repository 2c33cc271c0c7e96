"""`wenmo prosody`: a poem's tones, rhyme and faults, for people."""

from collections.abc import Iterator

from wenmo.core.choices import choices
from wenmo.core.errors import UserError
from wenmo.core.language import N_, gettext, ngettext
from wenmo.text.faults import Analysis, Fault, Licence, Rule, is_chinese
from wenmo.text.patterns import lines_of_poem, tune_pattern, tunes
from wenmo.text.readings import ALL_TONES, LEVEL, OBLIQUE, Reading, rhyme_name, shown, tones

# As wide as the characters above them in every terminal, unlike ○ and ●.
_MARKS = {frozenset({LEVEL}): "平", frozenset({OBLIQUE}): "仄", ALL_TONES: "中"}
_UNLISTED, _FAULT, _NO_FAULT = "？", "＾", "\u3000"
_LEGEND = N_("平 level, 仄 oblique, 中 either, ？ of unknown tone and free, ＾ a fault")
_NUMERALS = {5: "五言", 7: "七言"}
_NAMES = {4: "绝句", 6: "小律", 8: "律诗"}
_LONG = "排律"
_LICENCES = {
    Licence.SPECIAL_ENDING: N_("平平仄平仄 at its end may stand for 平平平仄仄"),
    Licence.NEXT_LINE: N_("the next line makes up for its last character but one"),
}


class NotVerseError(UserError):
    """There is no poem. Its exit code differs from that of a poem with faults."""

    exit_code = 2


def poem_lines(text: str, tune: str = "") -> list[str]:
    """A text's verse lines, by a tune's name as lines of tunes are parted.

    Raises NotVerseError if there are none, the text was not UTF-8 or the tune is not known.
    """
    if tune and not tune_pattern(tune):
        raise NotVerseError("tune: {tune!r}: {choices}", tune=tune, choices=choices(tune, tunes()))
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise NotVerseError("the poem is not in UTF-8; convert it first")
    lines = lines_of_poem(text, tune)
    if not lines:
        raise NotVerseError(
            "there is no verse line; give a poem with punctuation or line breaks between its lines"
        )
    if not any(map(is_chinese, "".join(lines))):
        raise NotVerseError(
            "{text!r}: no Chinese character; a poem in a file is read by `wenmo prosody - < FILE`",
            text=text.strip()[:40],
        )
    return lines


def prosody_page(analysis: Analysis, tune: str = "") -> str:
    """Form or tune, each line above its tones, rhyme words, licences, a sentence for each fault."""
    parts = [[_title(analysis, tune)], _toned_lines(analysis), [gettext(_LEGEND)]]
    parts += [_rhyme_words(analysis), _licences(analysis), _faults(analysis)]
    return "\n\n".join(text for part in parts if (text := "\n".join(part)))


def tone_mark(readings: frozenset[Reading]) -> str:
    """The mark of a character's tone: 平, 仄, 中 for either, ？ without a reading."""
    return _MARKS[tones(readings)] if readings else _UNLISTED


def _title(analysis: Analysis, tune: str) -> str:
    lines, length = len(analysis.lines), len(analysis.lines[0])
    if tune:
        count = ngettext("{count} line", "{count} lines", lines)
        return gettext("{tune}: {lines}", tune=tune, lines=count)
    if analysis.checks:
        form = _NUMERALS[length] + _NAMES.get(lines, _LONG)
        return gettext(
            "{form}: {lines} lines of {length} characters",
            form=form,
            lines=lines,
            length=length,
        )
    return gettext(
        "no form of regulated verse, so no tone rules: those are for 4, 8 or another even number"
        " of lines, all of 5 or all of 7 characters"
    )


def _toned_lines(analysis: Analysis) -> Iterator[str]:
    for number, line in enumerate(analysis.lines, 1):
        yield f"{number:>2}  {line}"
        yield "    " + "".join(map(tone_mark, analysis.readings[number - 1]))
        faulty = {fault.character for fault in analysis.faults if fault.line == number} - {0}
        if faulty:
            places = range(1, max(faulty) + 1)
            yield "    " + "".join(_FAULT if at in faulty else _NO_FAULT for at in places)


def _rhyme_words(analysis: Analysis) -> Iterator[str]:
    """The last character of each line that should rhyme with its rhyme, or its own readings."""
    for number in analysis.rhymes:
        readings = analysis.readings[number - 1][-1]
        rhyme = analysis.rhyme_words.get(number)
        names = "、".join(map(rhyme_name, [rhyme] if rhyme else sorted(readings)))
        yield gettext(
            "line {number} ends in {character}: {rhymes}",
            number=number,
            character=analysis.lines[number - 1][-1],
            rhymes=shown(names) or gettext("unknown"),
        )


def _licences(analysis: Analysis) -> Iterator[str]:
    for line, licence in analysis.licences.items():
        yield gettext(
            "line {line} has a licence, no fault: {licence} ({name})",
            line=line,
            licence=gettext(_LICENCES[licence]),
            name=shown(licence),
        )


def _faults(analysis: Analysis) -> Iterator[str]:
    if count := len(analysis.faults):
        yield ngettext("{count} fault:", "{count} faults:", count)
    elif analysis.checks:
        yield gettext("no faults")
    else:
        yield gettext("no faults of length, rhyme or repetition")
    for fault in analysis.faults:
        place, sentence = _place(fault), _sentence(fault, analysis)
        yield gettext("{place}: {sentence}", place=place, sentence=sentence)


def _place(fault: Fault) -> str:
    if not fault.line:
        return gettext("the poem")
    if not fault.character:
        return gettext("line {line}", line=fault.line)
    return gettext("line {line}, character {character}", line=fault.line, character=fault.character)


def _sentence(fault: Fault, analysis: Analysis) -> str:
    """The fault as one sentence."""
    expected, found = fault.expected, fault.found
    line = analysis.lines[fault.line - 1] if fault.line else ""
    character = line[fault.character - 1] if fault.character else ""
    places = gettext("2, 4 and 6") if len(line) == 7 else gettext("2 and 4")
    match fault.rule:
        case Rule.FORM if fault.line:
            return ngettext(
                "it has {count} character where most lines have {expected}",
                "it has {count} characters where most lines have {expected}",
                int(found),
                expected=expected,
            )
        case Rule.FORM:
            lines, characters = map(int, found.split("×"))
            return gettext(
                "a poem of {lines} of {characters} has no form of regulated verse",
                lines=ngettext("{count} line", "{count} lines", lines),
                characters=ngettext("{count} character", "{count} characters", characters),
            )
        case Rule.TUNE_LINES if fault.line:
            return ngettext(
                "it has {count} character where the tune has {expected}",
                "it has {count} characters where the tune has {expected}",
                int(found),
                expected=expected,
            )
        case Rule.TUNE_LINES:
            return ngettext(
                "it has {count} line where the tune has {expected}",
                "it has {count} lines where the tune has {expected}",
                int(found),
                expected=expected,
            )
        case Rule.TUNE_TONE:
            return gettext(
                "{character}, but the tune wants {expected} here",
                character=_toned(character, found),
                expected=expected,
            )
        case Rule.CHARACTER:
            return gettext("{character} is no Chinese character", character=character)
        case Rule.ALTERNATION:
            return gettext(
                "{character}, but characters {places} alternate in tone and want {expected} here",
                character=_toned(character, found),
                places=places,
                expected=expected,
            )
        case Rule.OPPOSITION:
            return gettext(
                "characters {places} are {found}; the second line of a couplet is opposite to the"
                " first and wants {expected} (失對)",
                places=places,
                found=found,
                expected=expected,
            )
        case Rule.ADHESION:
            return gettext(
                "characters {places} are {found}; a couplet opens like the line before it and wants"
                " {expected} (失粘)",
                places=places,
                found=found,
                expected=expected,
            )
        case Rule.LEVEL_FOOT:
            return gettext(
                "{character}, but even lines end on a level rhyme word (平)",
                character=_toned(character, found),
            )
        case Rule.OBLIQUE_END:
            return gettext(
                "{character}, but odd lines after the first end oblique (仄)",
                character=_toned(character, found),
            )
        case Rule.RHYME if not found:
            return gettext(
                "{character} is in no rhyme book here, so it is not known to rhyme",
                character=character,
            )
        case Rule.RHYME:
            return gettext(
                "{character} ({found}) does not rhyme with {expected}",
                character=character,
                found=shown(found),
                expected=shown(expected),
            )
        case Rule.THREE_LEVEL:
            return gettext("the line ends in three level tones, {found} (三平尾)", found=found)
        case Rule.LONE_LEVEL:
            return gettext(
                "{found} leaves a lone level tone beside the rhyme word (孤平)", found=found
            )
        case Rule.REPEATED_FOOT:
            return gettext(
                "{character} is the rhyme word of line {found} already (重韻)",
                character=character,
                found=found,
            )
        case Rule.REPEATED_LINE:
            return gettext("it repeats line {found}", found=found)
        case Rule.REPEATED_CHARACTERS:
            return gettext("too many characters stand in it more than once: {found}", found=found)


def _toned(character: str, tone: str) -> str:
    if tone == LEVEL:
        return gettext("{character} is level (平)", character=character)
    return gettext("{character} is oblique (仄)", character=character)
