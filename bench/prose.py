"""How much of the tuned models' prose is made of what Chinese prose has, and how often it repeats.

python -m bench.prose data/raw/novel > bench/prose.md

The folder has books as `novel` reads them. Known are pairs of neighbouring Chinese characters that
stand in one of the books. Human texts and those of the base, to the same prompts, stand beside. A
text of characters drawn by their frequency in the books shows what chance gives.
"""

import random
import re
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from statistics import mean

from bench.rounds import table

from wenmo.config.novel import PrepareParams
from wenmo.core.records import read_json_lines
from wenmo.scoring.repetition import sequence_repetition
from wenmo.tasks.novel import read
from wenmo.tasks.raw import MalformedRows
from wenmo.text.cleaning import clean

HAN = re.compile("[\u4e00-\u9fff]+")
TASKS = ("novel", "fairytale")
LENGTH = 4


def pairs(text: str) -> Iterator[str]:
    """The pairs of neighbouring Chinese characters."""
    for run in HAN.findall(text):
        yield from map("".join, pairwise(run))


def report(folder: Path) -> str:
    """The table as Markdown."""
    known, characters = Counter[str](), Counter[str]()
    for book in read(folder, PrepareParams.load("prepare", "novel"), MalformedRows()):
        text = clean(book.text, to_simplified=True).text
        known.update(pairs(text))
        characters.update("".join(HAN.findall(text)))
    draw = random.Random(0)
    rows = []

    def add(task: str, writer: str, texts: Iterable[str]) -> None:
        written = [each for each in texts if HAN.search(each)]
        shares = [
            mean(pair in known for pair in found) for each in written if (found := [*pairs(each)])
        ]
        rows.append(
            (
                task,
                writer,
                f"{len(written)}",
                f"{mean(shares):.3f}",
                f"{mean(sequence_repetition(text, LENGTH) for text in written):.3f}",
            )
        )

    for task in TASKS:
        tuned, base = (
            [row for _, row in read_json_lines(Path(f"outputs/{task}/eval.{model}.jsonl"))]
            for model in ("tuned", "base")
        )
        add(task, "human", (row["reference"] for row in tuned))
        add(task, "tuned", (row["text"] for row in tuned))
        add(task, "base", (row["text"] for row in base))
        drawn = draw.choices([*characters], [*characters.values()], k=400 * len(tuned))
        add(task, "chance", ("".join(drawn[at : at + 400]) for at in range(0, len(drawn), 400)))
    return (
        f"`python -m bench.prose {folder}`, books of {characters.total():,} Chinese characters with"
        f" {len(known):,} different pairs\n\n"
        + table(("task", "writer", "texts", "pairs known", f"repeated {LENGTH}-grams"), rows)
    )


if __name__ == "__main__":
    parser = ArgumentParser(description="Pairs of characters that a large corpus knows.")
    parser.add_argument("folder", type=Path, help="books as the task novel reads them")
    print(report(parser.parse_args().folder))
