"""Novels of any length, drawn character by character from the sample's: the same on any machine.

Real novels are not in git. Each character is drawn from those that follow the two before it in the
sample (Shannon 1948, section 3, https://doi.org/10.1002/j.1538-7305.1948.tb01338.x), so that
punctuation, lengths of sentences and frequencies are a book's and hardly a line comes twice.
"""

import random
import re
from collections import defaultdict
from functools import cache
from pathlib import Path

from wenmo.core.records import read_json_lines, write_json_lines

ROOT = Path(__file__).parents[1]
BOOK = 200_000
"""Characters of a book, the last one's being what is left."""

CHAPTER, PARAGRAPH = 40, 3
"""Paragraphs of a chapter, sentences of a paragraph."""

SPOKEN = 0.2
"""Share of the sentences that somebody says."""


@cache
def followers() -> dict[str, str]:
    """For each pair of characters those that follow it; "。。" stands before a sentence."""
    found = defaultdict(list)
    for _, content in read_json_lines(ROOT / "data/sample/novel/train.jsonl"):
        plain = re.sub(r"第.+章.*|\s|[“”‘’]", "", content["text"])
        for sentence in re.findall(r"[^。！？]+[。！？]", plain):
            before = "。。"
            for character in sentence:
                found[before].append(character)
                before = before[1] + character
    return {before: "".join(after) for before, after in found.items()}


def sentence(draw: random.Random) -> str:
    """A sentence with its end, now and then in quotes."""
    choices, before, characters = followers(), "。。", []
    while not characters or characters[-1] not in "。！？":
        after = choices[before]
        characters.append(after[int(draw.random() * len(after))])
        before = before[1] + characters[-1]
    written = "".join(characters)
    return f"“{written}”" if draw.random() < SPOKEN else written


def book(characters: int, seed: int) -> str:
    """Chapters with headings, of that many characters in all."""
    draw = random.Random(seed)
    lines, length = [], 0
    while length < characters:
        if len(lines) % (CHAPTER + 1) == 0:
            lines.append(f"第{len(lines) // (CHAPTER + 1) + 1}章")
        else:
            lines.append("".join(sentence(draw) for _ in range(PARAGRAPH)))
        length += len(lines[-1]) + 1
    return "\n".join(lines)[:characters]


def write_novels(folder: Path, characters: int) -> None:
    """Write a train.jsonl with that many characters of text into `folder`."""
    counts = [BOOK] * (characters // BOOK) + [characters % BOOK] * (characters % BOOK > 0)
    books = ({"name": f"书{seed}", "text": book(c, seed)} for seed, c in enumerate(counts))
    write_json_lines(folder / "train.jsonl", books)


def passages(count: int, length: int, seed: int = 0) -> list[str]:
    """So many passages of so many characters."""
    text = book(count * length, seed)
    return [text[at * length : (at + 1) * length] for at in range(count)]
