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
from functools import partial
from pathlib import Path

from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenizers import Tokenizer

from wenmo.records import read_json_lines
from wenmo.scoring.comparison import compare, holm, outcomes
from wenmo.scoring.copying import copied
from wenmo.scoring.ending import ends_properly
from wenmo.scoring.fairytale import common_share, has_ending, sentence_length
from wenmo.scoring.length import length_score
from wenmo.scoring.overlap import (
    bleu,
    chrf,
    rouge_l,
    rouge_n,
    row_mean,
    shuffled_floor,
    without_space,
)
from wenmo.scoring.repetition import distinct_at_equal_length, self_bleu, sequence_repetition

TEXTS = 1000
LENGTH = 800
ORACLE_PAIRS = 20
WINDOW = 100
RESAMPLES = 10_000
FAIRYTALE = (sentence_length, common_share, has_ending)


class Characters(Tokenizer):
    """What rouge-score needs to see Chinese at all."""

    def tokenize(self, text: str) -> list[str]:
        """The characters of a text."""
        return list(without_space(text))


def passages_of(path: Path) -> list[tuple[str, str]]:
    """(book, passage) for all whole passages of that many characters."""
    return [
        (book["name"], book["text"][at : at + LENGTH])
        for _, book in read_json_lines(path)
        for at in range(0, len(book["text"]) - LENGTH, LENGTH)
    ]


def seconds(run: Callable[[], object]) -> float:
    """Of calling it once."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def rouge_l_times(texts: list[str], references: list[str]) -> tuple[float, float]:
    """Median seconds a pair of rouge-score and of ours. Raises if they do not agree."""
    oracle = RougeScorer(["rougeL"], tokenizer=Characters())
    theirs, ours = [], []
    for text, reference in list(zip(texts, references, strict=True))[:ORACLE_PAIRS]:
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
    found = passages_of(parser.parse_args().path)
    random.Random(0).shuffle(found)
    books = [book for book, _ in found[:TEXTS]]
    references, base, tuned = (
        [passage for _, passage in found[start : start + TEXTS]]
        for start in range(0, 3 * TEXTS, TEXTS)
    )
    training = [passage for _, passage in found[3 * TEXTS :]]
    models = (base, tuned)
    rouge = [row_mean(partial(rouge_n, n=1)), row_mean(partial(rouge_n, n=2)), row_mean(rouge_l)]
    by_row = [[rouge_l(*pair) for pair in zip(texts, references, strict=True)] for texts in models]

    def of_models(score: Callable[[list[str]], object]) -> Callable[[], list[object]]:
        return lambda: [score(texts) for texts in models]

    runs: dict[str, Callable[[], object]] = {
        "ROUGE-1, ROUGE-2, ROUGE-L": of_models(
            lambda texts: [score(texts, references) for score in rouge]
        ),
        "BLEU": of_models(lambda texts: bleu(texts, references)),
        "chrF2": of_models(lambda texts: chrf(texts, references)),
        "shuffled floors of these": of_models(
            lambda texts: [
                shuffled_floor(score, texts, references, 0) for score in (*rouge, bleu, chrf)
            ]
        ),
        "distinct-2, distinct-4 at equal length": of_models(
            lambda texts: [distinct_at_equal_length(texts, n, WINDOW) for n in (2, 4)]
        ),
        "seq-rep-4": of_models(lambda texts: sequence_repetition(texts, 4)),
        "self-BLEU": of_models(self_bleu),
        "copying": lambda: copied([*base, *tuned], training),
        "length, ending, fairy tales": of_models(
            lambda texts: [
                row_mean(length_score)(texts, references),
                [ends_properly(text, "stop") for text in texts],
                [[score(text) for text in texts] for score in FAIRYTALE],
            ]
        ),
        "comparison": lambda: (
            compare(*by_row, True, RESAMPLES, 0),
            outcomes(*by_row, True),
            holm({str(rank): rank / 10 for rank in range(10)}),
        ),
        "comparison, clustered by book": lambda: compare(*by_row, True, RESAMPLES, 0, groups=books),
    }
    times = {name: seconds(run) for name, run in runs.items()}
    theirs, ours = rouge_l_times(tuned, references)

    print("`python -m bench.evaluate data/raw/novel/train.jsonl > bench/evaluate.md`\n")
    print(
        f"{TEXTS:,} texts of base and of tuned, and as many references, {LENGTH} characters each;"
        f" {len(training):,} passages\nof training text ({sum(map(len, training)) / 1e6:.1f}"
        f" million characters); {RESAMPLES:,} resamples. {os.cpu_count()} cores, of which one is"
        " used.\n"
    )
    print("| | seconds |")
    print("|:--|--:|")
    for name, taken in times.items():
        print(f"| {name} | {taken:.2f} |")
    print(f"| **all** | **{sum(times.values()):.1f}** |")
    print(
        f"\nROUGE-L of a pair takes {1000 * ours:.2f} ms, rouge-score's {1000 * theirs:.0f} ms:"
        f" {theirs / ours:,.0f} times as long\n(medians of {ORACLE_PAIRS} pairs, equal on each)."
    )


if __name__ == "__main__":
    main()
