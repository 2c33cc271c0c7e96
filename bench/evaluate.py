"""How long the scores take for 1,000 texts of 800 characters, and ROUGE-L beside rouge-score's.

python -m bench.evaluate data/raw/novel/train.jsonl > bench/evaluate.md

Texts and references are passages drawn from the novels, and the training text is all the rest. The
held-out loss, which a model computes, is not among the scores.
"""

import os
import random
import statistics
import time
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path

from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenizers import Tokenizer

from wenmo.records import Generation, Row, read_json_lines
from wenmo.scoring.comparison import EvaluateParams
from wenmo.scoring.evaluation import Written, evaluate
from wenmo.scoring.overlap import rouge_l, without_space

TEXTS = 1000
LENGTH = 800
ORACLE_PAIRS = 20
RUNS = 3
PARAMS = EvaluateParams.load("evaluate")


class Characters(Tokenizer):
    """What rouge-score needs to see Chinese at all."""

    def tokenize(self, text: str) -> list[str]:
        """The characters of a text."""
        return list(without_space(text))


def passages_of(path: Path) -> list[Row]:
    """All whole passages of that many characters, in an order drawn once."""
    passages = [
        Row(f"{book['name']} {at}", book["name"], at, "", "", book["text"][at : at + LENGTH])
        for _, book in read_json_lines(path)
        for at in range(0, len(book["text"]) - LENGTH, LENGTH)
    ]
    random.Random(0).shuffle(passages)
    return passages


def written(rows: list[Row], passages: list[Row], seed: int) -> Written:
    """Passages as answers to other rows, with made-up losses."""
    draw = random.Random(seed)
    answers = [
        Generation(row.id, row.prompt, row.output, passage.output, "stop", LENGTH)
        for row, passage in zip(rows, passages, strict=True)
    ]
    return Written(answers, [draw.gauss(5, 1) for _ in rows])


def seconds(run: Callable[[], object]) -> float:
    """Of calling it once."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def evaluation_times(task: str, passages: list[Row]) -> list[float]:
    """Seconds of all scores of two models and their comparison, several times over."""
    rows = passages[:TEXTS]
    base = written(rows, passages[TEXTS : 2 * TEXTS], 1)
    tuned = written(rows, passages[2 * TEXTS : 3 * TEXTS], 2)
    training = passages[3 * TEXTS :]
    return [
        seconds(lambda: evaluate(task, rows, training, base, tuned, PARAMS, seed=1))
        for _ in range(RUNS)
    ]


def rouge_l_times(passages: list[Row]) -> tuple[float, float]:
    """Median seconds a pair of rouge-score and of ours. Raises if they do not agree."""
    oracle = RougeScorer(["rougeL"], tokenizer=Characters())
    theirs, ours = [], []
    for pair in range(ORACLE_PAIRS):
        text, reference = passages[2 * pair].output, passages[2 * pair + 1].output
        theirs.append(seconds(lambda: oracle.score(reference, text)))  # noqa: B023
        ours.append(seconds(lambda: rouge_l(text, reference)))  # noqa: B023
        expected = oracle.score(reference, text)["rougeL"].fmeasure
        if abs(rouge_l(text, reference) - expected) > 1e-9:
            raise AssertionError(f"{rouge_l(text, reference)} is not {expected}")
    return statistics.median(theirs), statistics.median(ours)


def main() -> None:
    """Measure and print the table."""
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", type=Path, help="novels, a JSON object with name and text a line")
    passages = passages_of(parser.parse_args().path)
    times = {task: evaluation_times(task, passages) for task in ("novel", "fairytale")}
    theirs, ours = rouge_l_times(passages)
    training = sum(len(row.output) for row in passages[3 * TEXTS :])

    print("`python -m bench.evaluate data/raw/novel/train.jsonl > bench/evaluate.md`\n")
    print(
        f"All scores, floors and comparisons of evaluate but the held-out loss: {TEXTS:,} texts of"
        f" base and of\ntuned and as many references, {LENGTH} characters each;"
        f" {training / 1e6:.1f} million characters of training text;\n"
        f"{PARAMS.resamples:,} resamples by book (novel) or by row."
        f" {os.cpu_count()} cores, of which one is used.\n"
    )
    print("| | seconds, median of three | range |")
    print("|:--|--:|--:|")
    for task, taken in times.items():
        median = statistics.median(taken)
        print(f"| {task} | {median:.1f} | {min(taken):.1f} to {max(taken):.1f} |")
    print(
        f"\nROUGE-L of a pair takes {1000 * ours:.2f} ms, rouge-score's {1000 * theirs:.0f} ms:"
        f" {theirs / ours:,.0f} times as long\n(medians of {ORACLE_PAIRS} pairs, equal on each)."
    )


if __name__ == "__main__":
    main()
