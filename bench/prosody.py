"""How many Tang poems keep the rules that wenmo.text.prosody knows, beside lines thrown together.

python -m bench.prosody data/raw/poetry/Chinese_Poetry.csv > bench/prosody.md

A poem counts by its form alone: that many lines of that many characters, all of them Chinese. Some
of these are old-style verse, which goes by none of the rules. Regulated verse rhymes in level
tones, so the poems whose even lines can all end level are given apart.
"""

import os
import random
import statistics
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from wenmo.text.prosody import TONE_RULES, Analysis, Rule, analyse, rhymes
from wenmo.text.verse import form, verse_lines

FORMS = {"七言绝句": (4, 7), "五言绝句": (4, 5), "七言律诗": (8, 7), "五言律诗": (8, 5)}
DRAWS = 10
RUNS = 3

Poem = Sequence[str]


def poems_by_form(path: Path) -> dict[str, list[Poem]]:
    """The poems of each form, without those that have gaps or notes in them."""
    contents = pd.read_csv(path, keep_default_na=False)["content"]
    poems = [lines for content in contents if form(lines := verse_lines(content))]
    return {
        name: [poem for poem in poems if form(poem) == wanted and is_chinese(poem)]
        for name, wanted in FORMS.items()
    }


def is_chinese(poem: Poem) -> bool:
    """Whether there are only Chinese characters in its lines."""
    return all(fault.rule is not Rule.CHARACTER for fault in analyse(poem).faults)


def ends_level(analysis: Analysis) -> bool:
    """Whether the even lines can all end level."""
    return all(fault.rule is not Rule.LEVEL_FOOT for fault in analysis.faults)


def keeps_tones(analysis: Analysis) -> bool:
    """Whether no tone rule is broken."""
    return not any(fault.rule in TONE_RULES for fault in analysis.faults)


def thrown_together(poems: list[Poem]) -> list[Poem]:
    """As many poems of lines drawn from all of them, ten times over."""
    draw = random.Random(0)
    lines = [line for poem in poems for line in poem]
    length = len(poems[0])
    drawn = []
    for _ in range(DRAWS):
        draw.shuffle(lines)
        drawn += [lines[at : at + length] for at in range(0, len(lines), length)]
    return drawn


def thrown_together_in_place(poems: list[Poem]) -> list[Poem]:
    """The same, but a first line stays a first line, and so on: the line ends stay right."""
    draw = random.Random(0)
    places = [list(lines) for lines in zip(*poems, strict=True)]
    drawn = []
    for _ in range(DRAWS):
        for lines in places:
            draw.shuffle(lines)
        drawn += list(zip(*places, strict=True))
    return drawn


def table_row(name: str, poems: list[Poem]) -> str:
    """A line of the table."""
    analyses = [analyse(poem) for poem in poems]
    kept = [analysis for analysis in analyses if keeps_tones(analysis)]
    unlicensed = [analysis for analysis in kept if not analysis.licences]
    broken = sum(fault.rule in TONE_RULES for each in analyses for fault in each.faults)
    shares = (
        sum(map(rhymes, poems)) / len(poems),
        len(kept) / len(poems),
        len(unlicensed) / len(poems),
        1 - broken / sum(each.checks for each in analyses),
    )
    return f"| {name} | {len(poems):,} | " + " | ".join(f"{share:.1%}" for share in shares) + " |"


def seconds(poems: list[Poem]) -> list[float]:
    """Of analysing them, several times."""
    taken = []
    for _ in range(RUNS):
        started = time.perf_counter()
        for poem in poems:
            analyse(poem)
        taken.append(time.perf_counter() - started)
    return taken


def main() -> None:
    """Measure and print the table."""
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", type=Path, help="a CSV with a column `content`, a poem a row")
    poems = poems_by_form(parser.parse_args().path)
    print("`python -m bench.prosody data/raw/poetry/Chinese_Poetry.csv > bench/prosody.md`\n")
    print(
        "Poems are chosen by their form alone; regulated are those whose even lines can all end"
        f" level.\nShuffled lines are those of all the form's poems, {DRAWS} draws with a fixed"
        " seed;\nin place, a first line stays a first line, and so on, so that line ends stay as"
        " they should be.\n"
    )
    print("| | poems | rhyme | keep all tone rules | without a licence | tone checks kept |")
    print("|:--|--:|--:|--:|--:|--:|")
    for name, found in poems.items():
        print(table_row(f"{name}, all", found))
        print(table_row(f"{name}, regulated", [p for p in found if ends_level(analyse(p))]))
        print(table_row(f"{name}, shuffled lines", thrown_together(found)))
        print(table_row(f"{name}, shuffled in place", thrown_together_in_place(found)))
    quatrains = (poems["七言绝句"] * 2)[:1000]
    taken = seconds(quatrains)
    print(
        f"\n{len(quatrains):,} quatrains of 7 characters take {statistics.median(taken):.2f} s"
        f" ({min(taken):.2f} to {max(taken):.2f}) to analyse, on {os.cpu_count()} cores of which"
        " one is used."
    )


if __name__ == "__main__":
    main()
