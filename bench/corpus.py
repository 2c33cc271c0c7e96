"""Novels of any length, drawn character by character from the sample's: the same on any machine.

Each character is drawn from those that follow the two before it in the sample (Shannon 1948,
section 3, https://doi.org/10.1002/j.1538-7305.1948.tb01338.x). So punctuation, lengths of sentences
and frequencies of characters are a book's, and hardly a line comes twice.
"""

import random
import re
from collections import defaultdict
from functools import cache
from pathlib import Path

from bench.stage_run import ROOT

from wenmo.core.records import read_json_lines, write_json_lines

BOOK = 200_000
"""Characters per book; the last book has the rest."""

PARAGRAPHS, SENTENCES = 40, 3
"""Paragraphs per chapter, and sentences per paragraph."""

SPOKEN = 0.2
"""Share of the sentences that stand in quotes."""

START = "。。"
"""The pair that stands before a sentence."""


@cache
def followers() -> dict[str, str]:
    """For each pair of characters those that follow it in the sample."""
    found = defaultdict(list)
    for _, content in read_json_lines(ROOT / "data/sample/novel/train.jsonl"):
        plain = re.sub(r"第.+章.*|\s|[“”‘’]", "", content["text"])
        for sentence in re.findall(r"[^。！？]+[。！？]", plain):
            before = START
            for character in sentence:
                found[before].append(character)
                before = before[1] + character
    return {before: "".join(after) for before, after in found.items()}


def sentence(draw: random.Random) -> str:
    """A sentence with its end, some of them in quotes."""
    choices, written = followers(), START
    while written == START or written[-1] not in "。！？":
        after = choices[written[-2:]]
        written += after[int(draw.random() * len(after))]
    written = written.removeprefix(START)
    return f"“{written}”" if draw.random() < SPOKEN else written


def book(characters: int, seed: int) -> str:
    """Chapters with headings, of that many characters in all."""
    draw = random.Random(seed)
    lines, length = [], 0
    while length < characters:
        chapter, paragraph = divmod(len(lines), PARAGRAPHS + 1)
        text = "".join(sentence(draw) for _ in range(SENTENCES)) if paragraph else ""
        lines.append(text or f"第{chapter + 1}章")
        length += len(lines[-1]) + 1
    return "\n".join(lines)[:characters]


def write_novels(folder: Path, characters: int) -> None:
    """Write a train.jsonl with that many characters of text into `folder`."""
    lengths = [min(BOOK, characters - start) for start in range(0, characters, BOOK)]
    books = ({"name": f"书{seed}", "text": book(n, seed)} for seed, n in enumerate(lengths))
    write_json_lines(folder / "train.jsonl", books)


def passages(count: int, length: int) -> list[str]:
    """`count` passages of `length` characters each."""
    text = book(count * length, seed=0)
    return [text[at : at + length] for at in range(0, count * length, length)]
