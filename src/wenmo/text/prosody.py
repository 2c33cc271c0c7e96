"""The rules of regulated verse (近體詩), and the faults of a poem by them.

Source: 王力, 詩詞格律 (1962), chapter 2. Lines and characters are counted from 1.

- Form: 4 lines (絕句), 8 (律詩) or another even number (排律), all of 5 or all of 7 characters.
- Alternation (2-4-6 分明): characters 2, 4 and, in lines of 7, 6 are level and oblique by turns.
- Opposition (對): at 2-4-6 the second line of a couplet has the opposite tones of the first line.
- Adhesion (粘): at 2-4-6 a couplet opens with the same tones as the line before it.
- Line ends: even lines end level and share a 平水 rhyme; odd lines but the first end oblique.

Two licences (拗救) break no rule. 特拗: an odd line may end in 平平仄平仄 instead of 平平平仄仄.
對句相救: the last character but one of an odd line may be oblique instead of level if the third
character from the end of the next line is level. Tang poets used both often: without them 6 more
of 100 regulated 七言絕句 and 19 more of 100 五言律詩 would break the rules, but only 0 to 2 more of
100 poems of shuffled lines (bench/prosody.md).

TONE_RULES are all rules above but form and rhyme, which have scores of their own. Five more faults
are shown to a reader: three level tones at a line's end (三平尾), a lone level tone (孤平), a rhyme
word used twice (重韻), a repeated line, and characters repeated so often that fewer than
LEAST_DIFFERENT of all are different, as in 1 of 100 Tang quatrains. The first two concern a single
line. They are rare in Tang poems and as rare after their lines are shuffled, so that they cannot
tell whether a poem's lines belong together. The others do not concern tones.

A character satisfies a rule if any of its readings does. The readings at 2-4-6 are chosen jointly,
so that the poem has the fewest faults. The rhyme is the one that most even lines share. Elsewhere
readings are independent. A Chinese character without a known reading may have either tone, but it
rhymes with nothing.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

from wenmo.text.faults import Analysis, Fault, Licence, LineTones, Rule, general_faults
from wenmo.text.patterns import Pattern, couplets, pattern_lines, rhyme_book
from wenmo.text.readings import ALL_TONES, LEVEL, OBLIQUE, Reading, line_readings, rhyme_name, tones
from wenmo.text.tune_rules import analyse_tune
from wenmo.text.verse import form

_OPPOSITE = {LEVEL: OBLIQUE, OBLIQUE: LEVEL}
_SPECIAL_OTHERS = "平平仄仄"  # 平平仄平仄 without its last character but one.
_LONE_LEVEL = "仄平仄仄平"
_THREE_LEVEL = "平平平"


def analyse(lines: Sequence[str], tune: Pattern = "") -> Analysis:
    """The analysis of a poem's verse lines, by the rules of regulated verse or by a tune's pattern.

    The lines may hold any characters, but none may be empty.
    """
    if tune:
        return analyse_tune(list(lines), tune)
    poem = list(lines)
    readings = [line_readings(line) for line in poem]
    tones_of_lines = [[tones(each) for each in line] for line in readings]
    ends = [line[-1] for line in readings]
    rhyme = _shared_rhyme(ends)
    faults = [*_form_faults(poem), *general_faults(poem)]
    licences, checks = {}, 0
    if regulated(poem):
        openings = _openings(tones_of_lines)
        licences = {
            at + 1: licence
            for at, opening in enumerate(openings)
            if (licence := _licence(tones_of_lines, at, opening))
        }
        checks = len(poem) * (len(poem[0]) // 2) + 2 * (len(poem) - 1)
        faults += _pattern_faults(tones_of_lines, openings)
        faults += _line_end_faults(tones_of_lines)
        faults += _line_style_faults(tones_of_lines)
        faults += _repeated_feet(poem)
    rhymes = {}
    # Lines of several lengths of which no two rhyme are free verse, which has no rhyme to keep.
    if form(poem) or sum(rhyme in end for end in ends[1::2]) > 1:
        numbers = range(1, len(poem) + 1)
        rhymes = {n: rhyme for n in numbers if n % 2 == 0 or (n == 1 and rhyme in ends[0])}
        faults += _rhyme_faults(readings, rhyme, faults)
    faults.sort(key=lambda fault: (fault.line, fault.character))
    return Analysis(poem, readings, tones_of_lines, rhymes, licences, checks, faults)


def regulated(lines: Sequence[str]) -> bool:
    """Whether the form has tone rules: an even number of lines, 4 or more, all of 5 or of 7."""
    match form(list(lines)):
        case (count, length):
            return count >= 4 and count % 2 == 0 and length in (5, 7)
    return False


def recent_style(lines: Sequence[str]) -> bool:
    """Whether a poem of a regulated form may be regulated verse: every even line can end level.

    Regulated verse rhymes in level tones. A poem of eight lines that rhymes in oblique ones is in
    the old style (古體), which has no tone rules.
    """
    ends = (line_readings(line)[-1] for line in lines[1::2])
    return regulated(lines) and all(LEVEL in tones(end) for end in ends)


def rhymes(lines: Sequence[str], tune: Pattern = "") -> bool:
    """Whether all even lines end in the same 平水 rhyme and tone, by any reading of a character.

    The first line is free. A single even line does not rhyme, a word does not rhyme with itself
    (重韻), and a character without a known reading rhymes with nothing. Of a tune those lines rhyme
    that its pattern says, by the rhymes of tunes.
    """
    wanted = pattern_lines(tune or couplets(len(lines), 1))
    feet = [(of, line) for of, line in zip(wanted, lines, strict=False) if of.rhyme]
    if not feet or len(wanted) != len(lines) or len({line[-1] for _, line in feet}) < len(feet):
        return False
    shared: dict[str, frozenset[Reading]] = {}
    for of, line in feet:
        found = of.rhymes(line_readings(line, rhyme_book(tune))[-1])
        shared[of.rhyme] = shared.get(of.rhyme, found) & found
    return all(shared.values())


def _form_faults(lines: list[str]) -> Iterator[Fault]:
    lengths = Counter(map(len, lines))
    if len(lengths) > 1:
        ((usual, _),) = lengths.most_common(1)
        for number, line in enumerate(lines, 1):
            if len(line) != usual:
                yield Fault(Rule.FORM, number, 0, str(usual), str(len(line)))
    elif not regulated(lines):
        yield Fault(Rule.FORM, 0, 0, "", f"{len(lines)}×{max(lengths, default=0)}")


def _repeated_feet(lines: list[str]) -> Iterator[Fault]:
    feet = [line[-1] for line in lines[1::2]]
    for at, foot in enumerate(feet):
        number, earlier = 2 * at + 2, 2 * feet.index(foot) + 2
        # A repeated line repeats its rhyme word too, but counts as one fault.
        if earlier < number and lines[number - 1] not in lines[: number - 1]:
            yield Fault(Rule.REPEATED_FOOT, number, len(lines[0]), "", str(earlier))


def _pattern(opening: str, length: int) -> str:
    """The tones of characters 2, 4 and 6 in a line whose second has this tone."""
    return (opening + _OPPOSITE[opening] + opening)[: length // 2]


def _missed(line: LineTones, opening: str) -> list[int]:
    """The places, from 0, at which no reading fits the pattern."""
    places = range(1, len(line) - 1, 2)
    pattern = _pattern(opening, len(line))
    return [at for at, tone in zip(places, pattern, strict=True) if tone not in line[at]]


def _licence(poem: list[LineTones], at: int, opening: str) -> Licence | None:
    """The licence by which a line leaves its pattern, or None."""
    line = poem[at]
    if at % 2 or _missed(line, opening) != [len(line) - 2] or OBLIQUE not in line[-1]:
        return None
    if _pattern(opening, len(line))[-1] == OBLIQUE:
        # If the character's tone is not certain, the line has this ending or keeps its pattern.
        others = [*line[-5:-2], line[-1]]
        special = all(tone in each for each, tone in zip(others, _SPECIAL_OTHERS, strict=True))
        return Licence.SPECIAL_ENDING if special else None
    return Licence.NEXT_LINE if LEVEL in poem[at + 1][-3] else None


def _broken(poem: list[LineTones], at: int, opening: str) -> list[int]:
    """The places, from 0, at which a line breaks the pattern without a licence."""
    missed = _missed(poem[at], opening)
    return [] if missed and _licence(poem, at, opening) else missed


def _openings(poem: list[LineTones]) -> str:
    """Each line's tone at character 2, such that the poem has the fewest faults at 2-4-6.

    Ties go to the fewest faults inside lines, then to the fewest licences. This is Viterbi's
    algorithm: for either tone of a line only the best path to it is kept.
    """
    best = {"": (0, 0, 0, "")}
    for at, line in enumerate(poem):
        ways = {}
        for opening in (LEVEL, OBLIQUE):
            missed = len(_missed(line, opening))
            inside = len(_broken(poem, at, opening))
            ways[opening] = min(
                (
                    faults + inside + _unrelated(at, before, opening),
                    inner + inside,
                    left + missed,
                    path + opening,
                )
                for before, (faults, inner, left, path) in best.items()
            )
        best = ways
    return min(best.values())[-1]


def _unrelated(at: int, before: str, opening: str) -> bool:
    """Whether a line breaks opposition or adhesion to the line before, whose opening is given."""
    return at > 0 and (opening == before) is (at % 2 == 1)


def _pattern_faults(poem: list[LineTones], openings: str) -> Iterator[Fault]:
    """Faults of alternation, opposition and adhesion."""
    for at, (line, opening) in enumerate(zip(poem, openings, strict=True)):
        if _unrelated(at, openings[at - 1], opening):
            rule = Rule.OPPOSITION if at % 2 else Rule.ADHESION
            expected = _pattern(_OPPOSITE[opening], len(line))
            yield Fault(rule, at + 1, 2, expected, _pattern(opening, len(line)))
        for place in _broken(poem, at, opening):
            (found,) = line[place]
            yield Fault(Rule.ALTERNATION, at + 1, place + 1, _OPPOSITE[found], found)


def _line_end_faults(poem: list[LineTones]) -> Iterator[Fault]:
    for at, line in enumerate(poem[1:], 1):
        wanted, rule = (LEVEL, Rule.LEVEL_FOOT) if at % 2 else (OBLIQUE, Rule.OBLIQUE_END)
        if wanted not in line[-1]:
            yield Fault(rule, at + 1, len(line), wanted, _OPPOSITE[wanted])


def _line_style_faults(poem: list[LineTones]) -> Iterator[Fault]:
    """三平尾 and 孤平, in lines that may end level, and only if every reading has them."""
    for at, line in enumerate(poem):
        if at % 2 == 0 and at > 0:
            continue
        for rule, ending in ((Rule.THREE_LEVEL, _THREE_LEVEL), (Rule.LONE_LEVEL, _LONE_LEVEL)):
            start = len(line) - len(ending)
            if _must_be(line[start:], ending):
                yield Fault(rule, at + 1, start + 1, "", ending)


def _must_be(line: LineTones, pattern: str) -> bool:
    return all(each == {tone} for each, tone in zip(line, pattern, strict=True))


def _shared_rhyme(ends: list[frozenset[Reading]]) -> Reading | None:
    """The reading that the ends of most even lines share.

    Ties go to a level reading, then to one that the first line has, then to the earliest line.
    """
    votes = Counter(reading for foot in ends[1::2] for reading in sorted(foot))
    return max(
        votes,
        key=lambda reading: (votes[reading], reading[1] == LEVEL, reading in ends[0]),
        default=None,
    )


def _rhyme_faults(
    poem: list[list[frozenset[Reading]]], rhyme: Reading | None, others: list[Fault]
) -> list[Fault]:
    """A fault for each even line without the shared rhyme, in poems of four or more lines.

    An oblique end among level rhymes is already a fault of LEVEL_FOOT.
    """
    told = {fault.line for fault in others if fault.rule is Rule.LEVEL_FOOT}
    if len(poem) < 4:
        return []
    return [
        Fault(Rule.RHYME, number, len(line), rhyme_name(rhyme) if rhyme else "", _names(line[-1]))
        for number, line in enumerate(poem, 1)
        if number % 2 == 0
        and rhyme not in line[-1]
        and not (rhyme and rhyme[1] == LEVEL and number in told)
    ]


def _names(foot: frozenset[Reading]) -> str:
    return "、".join(map(rhyme_name, sorted(foot)))


def opening_after(before: str, at: int) -> str:
    """The tone of character 2 that line `at`, from 0, needs if the line before it has `before`."""
    return next(each for each in (LEVEL, OBLIQUE) if not _unrelated(at, before, each))


def keeps_rules(line: LineTones, at: int, opening: str, *, rescues: bool) -> bool:
    """Whether a line may be line `at`, from 0, of verse without faults of tones, 三平尾 and 孤平.

    `rescues` says that the line before needs this one for its licence. Whether this one needs the
    next for a licence of its own is told by `needs_rescue`.
    """
    poem: list[LineTones] = [[ALL_TONES] * len(line) for _ in range(at + 2)]
    poem[at] = line
    faults = [*_line_end_faults(poem), *_line_style_faults(poem)]
    rescued = not rescues or LEVEL in line[-3]
    return rescued and not faults and not _broken(poem, at, opening)


def needs_rescue(line: LineTones, at: int, opening: str) -> bool:
    """Whether a line leaves its pattern by a licence that asks something of the next one."""
    following = [ALL_TONES] * len(line)
    poem = [*[following] * at, line, following]
    return bool(_missed(line, opening)) and _licence(poem, at, opening) is Licence.NEXT_LINE


def missed(line: LineTones, opening: str) -> int:
    """At how many of the characters 2-4-6 no reading fits the pattern."""
    return len(_missed(line, opening))
