"""ROUGE-L beside rouge-score's own, and all scores of evaluate together.

Texts and references are passages of 800 characters. All scores are those of 200 texts each of base
and of tuned and their comparison, with made-up losses and half a million characters of training
text.
"""

import random
import sys
from pathlib import Path
from typing import Any

from bench.corpus import passages
from bench.peers import rouge
from bench.rounds import Measurement, contender_table, in_turn, milliseconds, rate, ratio
from bench.stage_run import ROOT

from wenmo.config.evaluate import EvaluateParams
from wenmo.core.records import Generation, Row
from wenmo.scoring.evaluation import ModelResult, evaluate
from wenmo.scoring.overlap import rouge_l

LENGTH = 800
THEIR_PAIRS, OUR_PAIRS, TEXTS, TRAINING = 10, 1000, 200, 600
ROUNDS = 3
THEIRS, OURS, ALL = "rouge-score's ROUGE-L", "wenmo's ROUGE-L", "all scores of `evaluate`"


def measure(folder: Path, scale: float) -> dict[str, Any]:
    """rouge-score on a few pairs, with wenmo's scores checked; wenmo on many; all scores."""
    texts = max(THEIR_PAIRS, round(TEXTS * scale))
    count = max(2 * round(OUR_PAIRS * scale), 3 * texts + round(TRAINING * scale))
    drawn = passages(max(count, 4 * THEIR_PAIRS), LENGTH)
    pairs = list(zip(drawn[::2], drawn[1::2], strict=False))[:OUR_PAIRS]
    score = rouge.scorer()

    def theirs() -> Measurement:
        for pair, found in [(pair, score(*pair)) for pair in pairs[:THEIR_PAIRS]]:
            if abs(rouge_l(*pair) - found) > 1e-9:
                sys.exit(f"ROUGE-L is {rouge_l(*pair)} here and {found} by rouge-score")
        return {"pairs": THEIR_PAIRS}

    def ours() -> Measurement:
        return {"pairs": len([rouge_l(*pair) for pair in pairs])}

    rows = [Row(str(at), f"{at % 10}", at, "", "", text) for at, text in enumerate(drawn)]
    base, tuned = (written(rows[:texts], drawn[at * texts :], at) for at in (1, 2))
    params = EvaluateParams.load("evaluate", path=ROOT / "params.yaml")

    def everything() -> Measurement:
        evaluate("novel", rows[:texts], rows[3 * texts :], base, tuned, params, seed=1)
        return {"pairs": 2 * texts}

    return {"runs": in_turn({THEIRS: theirs, OURS: ours, ALL: everything}, ROUNDS, "evaluate")}


def written(rows: list[Row], texts: list[str], seed: int) -> ModelResult:
    """Passages as answers to rows, with made-up losses."""
    draw = random.Random(seed)
    answers = [
        Generation(row.id, row.prompt, row.output, text, "stop", LENGTH)
        for row, text in zip(rows, texts, strict=False)
    ]
    return ModelResult(answers, [draw.gauss(5, 1) for _ in rows])


def tables(result: dict[str, Any]) -> list[str]:
    """Pairs per second."""
    runs = result["runs"]
    rouges = (runs[THEIRS], runs[OURS])
    columns = {
        "pairs per second": lambda own: rate(own, "pairs").shown(),
        "milliseconds per pair": lambda own: milliseconds(own, "pairs").shown(2),
        "times rouge-score": lambda own: (
            ratio(own, runs[THEIRS], "pairs").shown(0) if own in rouges else ""
        ),
    }
    return [contender_table(runs, columns)]
