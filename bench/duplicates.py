"""Near-duplicates beside datasketch alone, among passages of which some were planted.

Of every tenth passage a copy stands among them, in which each character may have been changed. A
pair counts as found if its sets of 5-grams really overlap by `merge.near_duplicate_jaccard`.
"""

import random
from collections.abc import Callable, Iterable
from itertools import combinations
from pathlib import Path
from typing import Any

from bench.corpus import passages
from bench.markdown import Table
from bench.peers import duplicates as datasketch
from bench.rounds import Measurement, Runs, in_turn, rates, spread, times_faster

from wenmo.config import params_file
from wenmo.text.near_duplicates import near_duplicates, similarity

ROOT = Path(__file__).parents[1]
PASSAGES, LENGTH, PLANTED = 400, 800, 10
MOST_CHANGED = 0.08
"""Of a copy's characters, at most this share is changed."""

ROUNDS = 3
Pairs = Callable[[list[str], float], Iterable[tuple[int, int]]]


def measure(folder: Path, scale: float) -> dict[str, Any]:
    """Seconds, and how many of the true pairs were found and how many others."""
    texts = with_copies(passages(max(PLANTED, round(PASSAGES * scale)), LENGTH))
    jaccard = params_file.read(ROOT / "params.yaml")["merge"]["near_duplicate_jaccard"]
    true = {
        pair
        for pair in combinations(range(len(texts)), 2)
        if similarity(texts[pair[0]], texts[pair[1]]) >= jaccard
    }

    def contender(find: Pairs) -> Measurement:
        found = set(find(texts, jaccard))
        return {
            "texts": len(texts),
            "true": len(true),
            "found": len(found & true),
            "wrong": len(found - true),
        }

    contenders = {
        "datasketch": lambda: contender(datasketch.near_duplicates),
        "wenmo": lambda: contender(near_duplicates),
    }
    return {"runs": in_turn(contenders, ROUNDS, "near-duplicates")}


def with_copies(texts: list[str]) -> list[str]:
    """The texts and, at the end, changed copies of every tenth."""
    draw, copies = random.Random(0), []
    for text in texts[::PLANTED]:
        share = draw.random() * MOST_CHANGED
        copies.append("".join(draw.choice(text) if draw.random() < share else c for c in text))
    return texts + copies


def tables(result: dict[str, Any]) -> list[Table]:
    """Speed and correctness."""
    runs: Runs = result["runs"]
    rows = [
        [
            name,
            spread(rates(of_one, "texts")).shown(0),
            times_faster(of_one, runs["datasketch"], "texts").shown(),
            f"{of_one[0]['found']:.0f} of {of_one[0]['true']:.0f}",
            f"{of_one[0]['wrong']:.0f}",
        ]
        for name, of_one in runs.items()
    ]
    heads = ["", "passages a second", "times datasketch", "true pairs found", "others returned"]
    return [(heads, rows)]
