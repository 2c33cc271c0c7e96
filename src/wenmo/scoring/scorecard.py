"""A task's scores for one model: which apply, which decides, and which way is better."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean

from wenmo.records import Generation
from wenmo.scoring.length import length_score
from wenmo.scoring.overlap import bleu, chrf, rouge_l, rouge_n
from wenmo.scoring.repetition import distinct, sequence_repetition
from wenmo.scoring.verse import exact_form, rhymed

LOWER_IS_BETTER = frozenset({"loss_per_character", "seq_rep_4"})


@dataclass(frozen=True)
class Scorecard:
    """`scores` over all rows, and the primary score row by row for the paired comparison."""

    scores: dict[str, float]
    primary: list[float]


def primary_score(task: str) -> str:
    """The score that decides whether tuned writes better."""
    return "form" if task == "poetry" else "loss_per_character"


def score(task: str, generations: Sequence[Generation], losses: Sequence[float]) -> Scorecard:
    """All scores of one model; `losses` are the held-out losses a character, row by row.

    A row with several generations (`generate.sampling.n`), one after another, scores their mean.
    """
    pairs = [(each.text, each.reference) for each in generations]
    texts, references = [text for text, _ in pairs], [reference for _, reference in pairs]
    by_text: dict[str, Sequence[float]] = {
        "rouge_1": [rouge_n(text, reference, 1) for text, reference in pairs],
        "rouge_2": [rouge_n(text, reference, 2) for text, reference in pairs],
        "rouge_l": [rouge_l(text, reference) for text, reference in pairs],
        "length_score": [length_score(text, reference) for text, reference in pairs],
    }
    if task == "poetry":
        by_text["form"] = [float(exact_form(text, reference)) for text, reference in pairs]
        by_text["rhyme"] = [float(rhymed(text)) for text in texts]
    by_row = {"loss_per_character": losses} | {
        name: _row_means(generations, values) for name, values in by_text.items()
    }
    scores = {name: fmean(values) for name, values in by_row.items()} | {
        "bleu": bleu(texts, references),
        "chrf2": chrf(texts, references),
        "distinct_2": distinct(texts, 2),
        "seq_rep_4": sequence_repetition(texts, 4),
        "ended": fmean(each.finish_reason == "stop" for each in generations),
    }
    return Scorecard(scores, list(by_row[primary_score(task)]))


def _row_means(generations: Sequence[Generation], values: Sequence[float]) -> list[float]:
    """One value a row, from one a generation."""
    pairs = zip(generations, values, strict=True)
    return [
        fmean(value for _, value in group) for _, group in groupby(pairs, lambda pair: pair[0].id)
    ]
