"""A scorecard: all scores of a task for the texts of one model."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import fmean, stdev

from wenmo.core.records import Generation
from wenmo.scoring.copying import Copied
from wenmo.scoring.ending import ends_properly
from wenmo.scoring.fairytale import common_share, has_ending, sentence_length
from wenmo.scoring.length import length_score
from wenmo.scoring.overlap import (
    CorpusScore,
    RowScore,
    bleu,
    chrf,
    rouge_l,
    rouge_n,
    row_mean,
    shuffled_floor,
)
from wenmo.scoring.poetry import (
    copied_lines,
    different_characters,
    exact_form,
    first_line_kept,
    repeated_lines,
    rhymed,
    tone_share,
    tones_kept,
)
from wenmo.scoring.repetition import distinct_at_equal_length, self_bleu, sequence_repetition
from wenmo.text.asked_verse import asked_tune
from wenmo.text.prosody import recent_style
from wenmo.text.verse import verse_lines

Values = list[float | None]
"""A score by row; None for a row to which it does not apply."""

_ROUGE: dict[str, RowScore] = {
    "rouge_1": partial(rouge_n, n=1),
    "rouge_2": partial(rouge_n, n=2),
    "rouge_l": rouge_l,
}
_CORPUS: dict[str, CorpusScore] = {"bleu": bleu, "chrf2": chrf}


@dataclass(frozen=True)
class Scorecard:
    """`scores` over all rows, and `by_row` the rows' values of those scores that are means.

    `floors` are the overlap scores against other rows' references.
    """

    scores: dict[str, float]
    by_row: dict[str, Values]
    floors: dict[str, float]


@dataclass(frozen=True)
class Setting:
    """The inputs of the scores besides the texts.

    `window` is evaluate.window in characters, `learnt` has the verse lines of the training poems,
    and `seed` draws the floors.
    """

    task: str
    window: int
    learnt: Collection[str]
    seed: int


def score(
    generations: Sequence[Generation], copies: Sequence[Copied], setting: Setting
) -> Scorecard:
    """All scores but the loss of texts, one per row, with how much each has copied."""
    texts = [each.text for each in generations]
    references = [each.reference for each in generations]
    by_row: dict[str, Values] = {
        name: [rouge(*pair) for pair in zip(texts, references, strict=True)]
        for name, rouge in _ROUGE.items()
    }
    by_row["length_score"] = list(map(length_score, texts, references))
    by_row |= _own_scores(generations, copies, setting)
    corpus = {name: overlap(texts, references) for name, overlap in _CORPUS.items()}
    overlaps = {name: row_mean(rouge) for name, rouge in _ROUGE.items()} | _CORPUS
    floors = {
        name: shuffled_floor(overlap, texts, references, setting.seed)
        for name, overlap in overlaps.items()
    }
    return Scorecard(_means(by_row) | corpus, by_row, floors)


def reference_scores(
    generations: Sequence[Generation], copies: Sequence[Copied], setting: Setting
) -> dict[str, float]:
    """The scores of the references themselves, as far as a score needs no reference.

    `copies` is how much the references have in common with the training texts.
    """
    as_written = [replace(each, text=each.reference, finish_reason="stop") for each in generations]
    return _means(_own_scores(as_written, copies, setting))


def with_loss(card: Scorecard, losses: Sequence[float]) -> Scorecard:
    """The scorecard with the held-out losses per character, by row, as its first score."""
    return Scorecard(
        {"loss_per_character": fmean(losses)} | card.scores,
        {"loss_per_character": [*losses], **card.by_row},
        card.floors,
    )


def averaged(cards: Sequence[Scorecard]) -> Scorecard:
    """The mean of the scorecards of several texts per row."""
    first = cards[0]
    return Scorecard(
        {name: fmean(card.scores[name] for card in cards) for name in first.scores},
        {
            name: [
                _mean(values) for values in zip(*(card.by_row[name] for card in cards), strict=True)
            ]
            for name in first.by_row
        },
        {name: fmean(card.floors[name] for card in cards) for name in first.floors},
    )


def seed_noise(cards: Sequence[Scorecard]) -> dict[str, float]:
    """The standard deviation of each score over two or more seeds."""
    return {name: stdev(card.scores[name] for card in cards) for name in cards[0].scores}


def _own_scores(
    generations: Sequence[Generation], copies: Sequence[Copied], setting: Setting
) -> dict[str, Values]:
    """The scores that need no reference: of a text by itself, or among the other texts."""
    texts, window = [each.text for each in generations], setting.window
    scores: dict[str, Values] = {
        "distinct_2": [distinct_at_equal_length(text, 2, window) for text in texts],
        "distinct_4": [distinct_at_equal_length(text, 4, window) for text in texts],
        "seq_rep_4": [sequence_repetition(text, 4) for text in texts],
        "self_bleu": [*self_bleu(texts)],
    }
    if setting.task == "fairytale":
        scores["sentence_length"] = [sentence_length(text) for text in texts]
        scores["common_share"] = [common_share(text) for text in texts]
        scores["has_ending"] = [float(has_ending(text)) for text in texts]
    scores["ended"] = [float(ends_properly(each.text, each.finish_reason)) for each in generations]
    scores["copied"] = [float(each.flagged) for each in copies]
    scores["copied_13grams"] = [each.coverage for each in copies]
    scores["longest_copy"] = [float(each.longest) for each in copies]
    if setting.task == "poetry":
        scores |= _verse_scores(generations, setting)
    return scores


def _verse_scores(generations: Sequence[Generation], setting: Setting) -> dict[str, Values]:
    """The scores of poems.

    Tone rules apply only to rows of a known tune or whose reference may be regulated verse.
    """
    kept = [first_line_kept(each.prompt, each.text) for each in generations]
    asked = [(each, asked_tune(each.prompt)) for each in generations]
    bound = [bool(tune) or recent_style(verse_lines(each.reference)) for each, tune in asked]
    ruled = [(each.text, tune, rules) for (each, tune), rules in zip(asked, bound, strict=True)]
    return {
        "form": [float(exact_form(each.text, each.reference, tune)) for each, tune in asked],
        "rhyme": [float(rhymed(each.text, tune)) for each, tune in asked],
        "tones": [float(tones_kept(text, tune)) if rules else None for text, tune, rules in ruled],
        "tone_share": [tone_share(text, tune) if rules else None for text, tune, rules in ruled],
        "first_line": [None if each is None else float(each) for each in kept],
        "different_characters": [different_characters(each.text) for each in generations],
        "repeated_lines": [repeated_lines(each.text) for each in generations],
        "copied_lines": [copied_lines(each.text, setting.learnt) for each in generations],
    }


def _means(by_row: dict[str, Values]) -> dict[str, float]:
    """The mean of each score over the rows to which it applies, if there are any."""
    means = {name: _mean(values) for name, values in by_row.items()}
    return {name: mean for name, mean in means.items() if mean is not None}


def _mean(values: Iterable[float | None]) -> float | None:
    found = [value for value in values if value is not None]
    return fmean(found) if found else None
