"""The share of Tang poems that keep the rules of wenmo.text.prosody, beside shuffled lines.

python -m bench.prosody data/raw/poetry/Chinese_Poetry.csv > bench/prosody.md

Poems are chosen by their form alone, so that some are old-style verse, which has no such rules.
Regulated verse rhymes in level tones: poems whose even lines can all end level have their own row.
"""

import random
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from bench.rounds import in_turn, quantity, table

from wenmo.text.faults import TONE_RULES, Analysis, Rule
from wenmo.text.prosody import analyse, rhymes
from wenmo.text.verse import form, verse_lines

FORMS = {"七言绝句": (4, 7), "五言绝句": (4, 5), "七言律诗": (8, 7), "五言律诗": (8, 5)}
DRAWS, RUNS = 10, 3
HEADS = ("", "poems", "rhyme", "keep all tone rules", "without a licence", "tone checks kept")

Poem = Sequence[str]


def poems_by_form(path: Path) -> dict[str, list[Poem]]:
    """The poems of each form that have Chinese characters alone, without gaps and notes."""
    poems = [*map(verse_lines, pd.read_csv(path, keep_default_na=False)["content"])]
    return {
        name: [p for p in poems if form(p) == wanted and not faults(analyse(p), {Rule.CHARACTER})]
        for name, wanted in FORMS.items()
    }


def faults(analysis: Analysis, rules: frozenset[Rule] | set[Rule]) -> int:
    """The number of faults against these rules."""
    return sum(fault.rule in rules for fault in analysis.faults)


def shuffled(poems: list[Poem], in_place: bool) -> list[Poem]:
    """As many poems of the same lines, ten times over; in place, a first line stays a first one."""
    draw, length, drawn = random.Random(0), len(poems[0]), []
    lines = [line for poem in poems for line in poem]
    pools = [lines[place::length] for place in range(length)] if in_place else [lines]
    for _ in range(DRAWS):
        for pool in pools:
            draw.shuffle(pool)
        columns = pools if in_place else [lines[place::length] for place in range(length)]
        drawn += zip(*columns, strict=True)
    return drawn


def row(name: str, poems: list[Poem]) -> list[str]:
    """A line of the table."""
    analyses = [analyse(poem) for poem in poems]
    kept = [each for each in analyses if not faults(each, TONE_RULES)]
    broken = sum(faults(each, TONE_RULES) for each in analyses)
    shares = (
        sum(map(rhymes, poems)) / len(poems),
        len(kept) / len(poems),
        sum(not each.licences for each in kept) / len(poems),
        1 - broken / sum(each.checks for each in analyses),
    )
    return [name, f"{len(poems):,}", *(f"{share:.1%}" for share in shares)]


def main() -> None:
    """Measure and print the table."""
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", type=Path, help="a CSV with a column `content`, one poem per row")
    poems, rows = poems_by_form(parser.parse_args().path), []
    for name, found in poems.items():
        level = [poem for poem in found if not faults(analyse(poem), {Rule.LEVEL_FOOT})]
        rows += [row(f"{name}, all", found), row(f"{name}, regulated", level)]
        rows.append(row(f"{name}, shuffled lines", shuffled(found, in_place=False)))
        rows.append(row(f"{name}, shuffled in place", shuffled(found, in_place=True)))
    quatrains = (poems["七言绝句"] * 2)[:1000]
    runs = in_turn({"": lambda: {"poems": len([*map(analyse, quatrains)])}}, RUNS, "analysing")
    print(
        "`python -m bench.prosody data/raw/poetry/Chinese_Poetry.csv > bench/prosody.md`\n\n"
        "Poems are chosen by their form alone; regulated are those whose even lines can all end"
        f" level.\nShuffled lines are those of all the form's poems, {DRAWS} draws with a fixed"
        " seed;\nin place, a first line stays a first line, and so on, so that line ends stay as"
        f" they should be.\n\n{table(HEADS, rows)}\n\n{len(quatrains):,} quatrains of 7 characters"
        f" take {quantity(runs['']).shown(2)} s to analyse, on one core."
    )


if __name__ == "__main__":
    main()
