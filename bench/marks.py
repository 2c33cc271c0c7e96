"""How far the tones of wenmo.text.readings agree with the marks of the chinese-poetry project.

python -m bench.marks data/raw/chinese-poetry > bench/marks.md

The folder is a clone of https://github.com/chinese-poetry/chinese-poetry. The project marks each
character of its Tang and Song poems as 平, 仄, ○ (either) or ？ in `strains/json`. A character that
its dictionary takes for one of two words gets now one mark, now the other. Such characters have
their own row. Where a poem without other faults asks for a tone, the poem says who is right.
"""

import json
from argparse import ArgumentParser
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bench.rounds import table

from wenmo.core.errors import UserError
from wenmo.text.faults import TONE_RULES, Analysis, Rule
from wenmo.text.prosody import analyse
from wenmo.text.readings import LEVEL, OBLIQUE
from wenmo.text.verse import form, verse_lines

POEMS, MARKS = "全唐诗", "strains/json"
FORMS = {(4, 5), (4, 7), (8, 5), (8, 7)}
ALIKE = 0.99
"""Least share of a character's commoner mark for which the project counts as knowing its tone."""
SHOWN = 12
LEFT_OUT = frozenset("回庭")
"""Characters whose oblique reading in the 集韻 (1039) wenmo leaves out, as no poem needs it."""

OPPOSITE = {LEVEL: OBLIQUE, OBLIQUE: LEVEL}


@dataclass
class Comparison:
    """Characters at which both decide, by character and mark, with those of the other tone here."""

    poems: int = 0
    decided: Counter[tuple[str, str]] = field(default_factory=Counter)
    differing: Counter[tuple[str, str]] = field(default_factory=Counter)
    asked: Counter[tuple[str, bool]] = field(default_factory=Counter)
    feet: int = 0
    unknown_feet: Counter[str] = field(default_factory=Counter)


def marked_poems(folder: Path) -> Iterator[tuple[list[str], list[str]]]:
    """The verse lines of each poem of FORMS and their marks. Raises UserError if there are none."""
    files = sorted((folder / POEMS).glob("poet.*.json"))
    if not files:
        raise UserError(f"{folder}: no {POEMS}/poet.*.json; give a clone of chinese-poetry")
    for path in files:
        marks = {row["id"]: row["strains"] for row in _rows(folder / MARKS / path.name)}
        for row in _rows(path):
            lines = verse_lines("\n".join(row["paragraphs"]))
            marked = verse_lines("\n".join(marks.get(row["id"], ())))
            if form(lines) in FORMS and form(lines) == form(marked):
                yield lines, marked


def compare(folder: Path) -> Comparison:
    """All poems of a clone of chinese-poetry that are of FORMS, against their marks."""
    found = Comparison()
    for lines, marks in marked_poems(folder):
        analysis = analyse(lines)
        found.poems += 1
        feet = [(line[-1], known[-1]) for line, known in zip(lines, analysis.readings, strict=True)]
        found.feet += len(feet[1::2])
        found.unknown_feet.update(foot for foot, known in feet[1::2] if not known)
        wanted = _wanted(analysis)
        for at, (line, marked) in enumerate(zip(lines, marks, strict=True)):
            for place, (character, mark) in enumerate(zip(line, marked, strict=True)):
                tones = analysis.tones[at][place]
                if len(tones) > 1 or mark not in OPPOSITE:
                    continue
                found.decided[character, mark] += 1
                if mark not in tones:
                    found.differing[character, mark] += 1
                    if tone := wanted.get((at, place)):
                        found.asked[f"{character} {mark}", tone == mark] += 1
    return found


def report(folder: Path) -> str:
    """The comparison as Markdown."""
    found = compare(folder)
    marks: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for (character, mark), count in found.decided.items():
        marks[character][mark] += count
    alike = {c for c, seen in marks.items() if max(seen.values()) >= ALIKE * seen.total()}
    rows = [
        _row("all", found, set(marks)),
        _row("all but 回 and 庭, which wenmo calls level on purpose", found, set(marks) - LEFT_OUT),
        _row("characters that the project always marks alike", found, alike),
        _row("characters with both marks", found, set(marks) - alike),
    ]
    often = Counter({" ".join(each): count for each, count in found.differing.items()})
    ours = Counter({each: count for (each, project), count in found.asked.items() if not project})
    theirs = Counter({each: count for (each, project), count in found.asked.items() if project})
    unknown = found.unknown_feet.total()
    return (
        "`python -m bench.marks data/raw/chinese-poetry > bench/marks.md`\n\n"
        f"{found.poems:,} Tang and Song poems of chinese-poetry, in the four forms, with the"
        " project's marks\nof tone (`strains`), where both it and wenmo decide:\n\n"
        f"{table(('', 'characters', 'agree'), rows)}\n\nA character counts as marked alike if"
        f" {ALIKE:.0%} of its marks are. Where both differ at a place whose tone\nan otherwise"
        f" faultless poem asks for, the poem has wenmo's tone {ours.total():,} times"
        f" ({_first(ours)}),\nthe project's {theirs.total():,} times ({_first(theirs)}).\n"
        f"Most often different, with the project's mark: {_first(often)}.\n\n"
        f"{unknown:,} of {found.feet:,} rhyme feet"
        f" ({unknown / found.feet:.3%}) have no known reading: {_first(found.unknown_feet)}."
    )


def _first(counts: Counter[str]) -> str:
    return ", ".join(f"{each} {count:,}" for each, count in counts.most_common(SHOWN)) + " …"


def _wanted(analysis: Analysis) -> dict[tuple[int, int], str]:
    """The tones that a poem asks for by line and place, from 0, if it has one tone fault at most.

    The tone at the fault is the expected one; elsewhere it is what stands there, since it fits.
    """
    faults = [each for each in analysis.faults if each.rule in TONE_RULES | {Rule.CHARACTER}]
    if len(faults) > 1 or analysis.licences:
        return {}
    wanted = {
        (at, place): tone
        for at, line in enumerate(analysis.tones)
        for place in [*range(1, len(line) - 1, 2), *([len(line) - 1] if at else [])]
        for tone in line[place]
        if len(line[place]) == 1
    }
    for each in faults:
        if each.character and each.expected in OPPOSITE:
            wanted[each.line - 1, each.character - 1] = each.expected
    return wanted


def _row(name: str, found: Comparison, characters: set[str]) -> list[str]:
    decided = sum(count for (c, _), count in found.decided.items() if c in characters)
    differing = sum(count for (c, _), count in found.differing.items() if c in characters)
    return [name, f"{decided:,}", f"{1 - differing / decided:.3%}"]


def _rows(path: Path) -> list[dict[str, list[str]]]:
    rows: list[dict[str, list[str]]] = json.loads(path.read_bytes())
    return rows


def main() -> None:
    """Compare and print."""
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="a clone of chinese-poetry")
    print(report(parser.parse_args().folder))


if __name__ == "__main__":
    main()
