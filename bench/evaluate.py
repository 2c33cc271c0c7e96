"""ROUGE-L beside rouge-score's own, and all of evaluate's scores together.

Texts and references are passages of 800 characters. All scores are those of 200 texts each of base
and of tuned with their comparison, without the held-out loss, which a model computes; half a
million characters are the training text that copying is looked for in.
"""

import random
import sys
from pathlib import Path
from typing import Any

from bench.corpus import passages
from bench.markdown import Table
from bench.peers import rouge
from bench.rounds import Measurement, Runs, in_turn, rates, spread, times_faster

from wenmo.config.evaluate import EvaluateParams
from wenmo.core.records import Generation, Row
from wenmo.scoring.evaluation import ModelResult, evaluate
from wenmo.scoring.overlap import rouge_l

ROOT = Path(__file__).parents[1]
LENGTH = 800
THEIR_PAIRS, OUR_PAIRS, TEXTS, TRAINING = 10, 1000, 200, 600
ROUNDS = 3


def measure(folder: Path, scale: float) -> dict[str, Any]:
    """rouge-score on a few pairs, which must be ours too; ours on many; all scores."""
    texts = max(THEIR_PAIRS, round(TEXTS * scale))
    count = max(2 * round(OUR_PAIRS * scale), 3 * texts + round(TRAINING * scale))
    drawn = passages(max(count, 4 * THEIR_PAIRS), LENGTH)
    pairs = list(zip(drawn[::2], drawn[1::2], strict=False))[:OUR_PAIRS]
    theirs = rouge.scorer()

    def oracle() -> Measurement:
        found = [theirs(*pair) for pair in pairs[:THEIR_PAIRS]]
        for pair, score in zip(pairs, found, strict=False):
            if abs(rouge_l(*pair) - score) > 1e-9:
                sys.exit(f"ROUGE-L is {rouge_l(*pair)} here and {score} by rouge-score")
        return {"pairs": len(found)}

    def ours() -> Measurement:
        return {"pairs": len([rouge_l(*pair) for pair in pairs])}

    rows = [Row(str(at), f"{at % 10}", at, "", "", text) for at, text in enumerate(drawn)]
    base, tuned = (written(rows[:texts], drawn[at * texts :], at) for at in (1, 2))
    params = EvaluateParams.load("evaluate", path=ROOT / "params.yaml")

    def everything() -> Measurement:
        evaluate("novel", rows[:texts], rows[3 * texts :], base, tuned, params, seed=1)
        return {"pairs": 2 * texts}

    contenders = {
        "rouge-score's ROUGE-L": oracle,
        "wenmo's ROUGE-L": ours,
        "all scores of `evaluate`": everything,
    }
    return {"runs": in_turn(contenders, ROUNDS, "evaluate")}


def written(rows: list[Row], texts: list[str], seed: int) -> ModelResult:
    """Passages as answers to rows, with made-up losses."""
    draw = random.Random(seed)
    answers = [
        Generation(row.id, row.prompt, row.output, text, "stop", LENGTH)
        for row, text in zip(rows, texts, strict=False)
    ]
    return ModelResult(answers, [draw.gauss(5, 1) for _ in rows])


def tables(result: dict[str, Any]) -> list[Table]:
    """Pairs a second."""
    runs: Runs = result["runs"]
    theirs = next(iter(runs.values()))
    rows = [
        [
            name,
            spread(rates(of_one, "pairs")).shown(),
            spread([1000 * run["seconds"] / run["pairs"] for run in of_one]).shown(2),
            times_faster(of_one, theirs, "pairs").shown(0) if "ROUGE-L" in name else "",
        ]
        for name, of_one in runs.items()
    ]
    return [(["", "pairs a second", "milliseconds a pair", "times rouge-score"], rows)]
