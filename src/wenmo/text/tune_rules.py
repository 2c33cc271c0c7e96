"""The faults of a poem to a tune: lines, tones and rhymes by the tune's pattern.

A character keeps a tone if any of its readings has it. The rhyme of lines with the same letter is
the one that most of them share.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator

from wenmo.text.faults import Analysis, Fault, LineTones, Rule, general_faults
from wenmo.text.patterns import EITHER, Line, Pattern, pattern_lines
from wenmo.text.readings import LEVEL, OBLIQUE, Reading, line_readings, rhyme_name, tones
from wenmo.text.tune_rhymes import tune_rhyme

_OPPOSITE = {LEVEL: OBLIQUE, OBLIQUE: LEVEL}

LineReadings = list[frozenset[Reading]]


def analyse_tune(lines: list[str], tune: Pattern) -> Analysis:
    """The analysis of verse lines by a tune's pattern; its checks are the places with a tone."""
    wanted = pattern_lines(tune)
    readings = [line_readings(line, tune_rhyme) for line in lines]
    toned = [[tones(each) for each in line] for line in readings]
    rhymes = _rhymes(readings, wanted)
    faults = [*general_faults(lines), *_line_faults(lines, wanted), *_tone_faults(toned, wanted)]
    faults += [*_rhyme_faults(readings, wanted, rhymes), *_repeated_feet(lines, wanted)]
    faults.sort(key=lambda fault: (fault.line, fault.character))
    checks = sum(tone != EITHER for line in wanted for tone in line.tones)
    return Analysis(lines, readings, toned, rhymes, {}, checks, faults)


def _rhymes(poem: list[LineReadings], wanted: tuple[Line, ...]) -> dict[int, Reading | None]:
    """The reading that each rhyming line should end in; None if no line has a known one."""
    votes: dict[str, Counter[Reading]] = defaultdict(Counter)
    for line, of in zip(poem, wanted, strict=False):
        votes[of.rhyme].update(sorted(of.rhymes(line[-1])))
    best = {letter: max(each, key=each.__getitem__, default=None) for letter, each in votes.items()}
    return {
        number: next(iter(of.readings(frozenset({found}))), None) if found else None
        for number, (of, _) in enumerate(zip(wanted, poem, strict=False), 1)
        if of.rhyme
        for found in [best[of.rhyme]]
    }


def _line_faults(lines: list[str], wanted: tuple[Line, ...]) -> Iterator[Fault]:
    if len(lines) != len(wanted):
        yield Fault(Rule.TUNE_LINES, 0, 0, str(len(wanted)), str(len(lines)))
    for number, (line, of) in enumerate(zip(lines, wanted, strict=False), 1):
        if len(line) != of.length:
            yield Fault(Rule.TUNE_LINES, number, 0, str(of.length), str(len(line)))


def _tone_faults(poem: list[LineTones], wanted: tuple[Line, ...]) -> Iterator[Fault]:
    """Faults of tones in lines that have their length."""
    for number, (line, of) in enumerate(zip(poem, wanted, strict=False), 1):
        if len(line) != of.length:
            continue
        for at, (found, tone) in enumerate(zip(line, of.tones, strict=True), 1):
            if tone not in (EITHER, *found):
                yield Fault(Rule.TUNE_TONE, number, at, tone, _OPPOSITE[tone])


def _rhyme_faults(
    poem: list[LineReadings], wanted: tuple[Line, ...], rhymes: dict[int, Reading | None]
) -> Iterator[Fault]:
    """A fault for each line without its rhyme. A foot of the wrong tone is told as such already."""
    for number, (line, of) in enumerate(zip(poem, wanted, strict=False), 1):
        rhyme = rhymes.get(number)
        if of.rhyme and rhyme not in line[-1] and of.tones[-1] in tones(line[-1]):
            expected = rhyme_name(rhyme) if rhyme else ""
            names = "、".join(map(rhyme_name, sorted(line[-1])))
            yield Fault(Rule.RHYME, number, len(line), expected, names)


def _repeated_feet(lines: list[str], wanted: tuple[Line, ...]) -> Iterator[Fault]:
    first: dict[str, int] = {}
    for number, (line, of) in enumerate(zip(lines, wanted, strict=False), 1):
        # A repeated line repeats its rhyme word too, but counts as one fault.
        earlier = first.setdefault(line[-1], number) if of.rhyme else number
        if earlier < number and line not in lines[: number - 1]:
            yield Fault(Rule.REPEATED_FOOT, number, len(line), "", str(earlier))
