"""Near-duplicates beside datasketch alone, among passages with planted copies.

Every tenth passage has a copy, in which each character may have been changed. A pair is a true one
if its sets of 5-grams overlap by `merge.near_duplicate_jaccard`.
"""

import random
from collections.abc import Callable, Iterable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from bench.corpus import passages
from bench.peers import duplicates as datasketch
from bench.rounds import Measurement, contender_table, in_turn, rate, ratio
from bench.stage_run import ROOT

from wenmo.config import params_file
from wenmo.core.records import Row
from wenmo.text.near_duplicates import Sketches, in_batches, pairs, similarity, sketched

PASSAGES, LENGTH, PLANTED = 400, 800, 10
MOST_CHANGED = 0.08
"""The greatest share of a copy's characters that is changed."""

ROUNDS = 3
Pairs = Callable[[list[str], float], Iterable[tuple[int, int]]]


def measure(folder: Path, scale: float) -> dict[str, Any]:
    """Seconds, true pairs that were found, and other pairs."""
    texts = with_copies(passages(max(PLANTED, round(PASSAGES * scale)), LENGTH))
    jaccard = params_file.read(ROOT / "params.yaml")["merge"]["near_duplicate_jaccard"]
    every = combinations(range(len(texts)), 2)
    true = {(a, b) for a, b in every if similarity(texts[a], texts[b]) >= jaccard}

    def contender(find: Pairs) -> Measurement:
        found = set(find(texts, jaccard))
        counts = {"found": len(found & true), "wrong": len(found - true)}
        return {"texts": len(texts), "true": len(true)} | counts

    contenders = {
        "datasketch": lambda: contender(datasketch.near_duplicates),
        "wenmo": lambda: contender(lambda *of: near_duplicates(folder, *of)),
    }
    return {"runs": in_turn(contenders, ROUNDS, "near-duplicates")}


def near_duplicates(folder: Path, texts: list[str], jaccard: float) -> Iterator[tuple[int, int]]:
    """The pairs that merge finds."""
    rows = [Row("", "", number, "", "", text) for number, text in enumerate(texts)]
    with Sketches(jaccard, folder) as sketches:
        for some in in_batches(iter(texts)):
            sketches.add_sketches(sketched(some))
        yield from pairs(rows, sketches, np.ones(len(texts), np.bool_), jaccard)


def with_copies(texts: list[str]) -> list[str]:
    """The texts, and after them changed copies of every tenth."""
    draw, copies = random.Random(0), []
    for text in texts[::PLANTED]:
        share = draw.random() * MOST_CHANGED
        copies.append("".join(draw.choice(text) if draw.random() < share else c for c in text))
    return texts + copies


def tables(result: dict[str, Any]) -> list[str]:
    """Speed and correctness."""
    runs = result["runs"]
    columns = {
        "passages per second": lambda own: rate(own, "texts").shown(0),
        "times datasketch": lambda own: ratio(own, runs["datasketch"], "texts").shown(),
        "true pairs found": lambda own: "{found:.0f} of {true:.0f}".format(**own[0]),
        "others returned": lambda own: "{wrong:.0f}".format(**own[0]),
    }
    return [contender_table(runs, columns)]
