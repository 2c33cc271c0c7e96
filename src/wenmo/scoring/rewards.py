"""Rewards: what training by reinforcement is to raise, by the scorers that evaluate uses.

Each reward is from 0 to 1 and higher is better; a score of which lower is better counts as 1 minus
the score. The reward of a text is the mean by weight of those that apply to it.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from wenmo.config.grpo import RewardWeights
from wenmo.core.records import Generation
from wenmo.scoring.ending import ends_properly
from wenmo.scoring.length import length_score
from wenmo.scoring.poetry import (
    copied_lines,
    different_characters,
    exact_form,
    first_line_kept,
    rhymed,
    tone_share,
)
from wenmo.scoring.repetition import sequence_repetition
from wenmo.text.asked_verse import asked_tune
from wenmo.text.faults import LEAST_DIFFERENT
from wenmo.text.prosody import recent_style
from wenmo.text.verse import verse_lines

Scorer = Callable[[Generation], float | None]
"""A score of a text; None if it does not apply."""

LEAST_NEW_4GRAMS = 0.8
"""The share of different 4-grams below which prose repeats itself, as prepare.quality takes it."""


@dataclass(frozen=True)
class Rewards:
    """The rewards of a task.

    `floors` are the least means of a batch's rewards by name: below them, the texts degenerate.
    """

    scorers: Mapping[str, Scorer]
    weights: Mapping[str, float]
    floors: Mapping[str, float]

    def of(self, text: Generation) -> dict[str, float]:
        """Each reward of a text by name, 0 to 1, without those that do not apply."""
        found = {name: scorer(text) for name, scorer in self.scorers.items()}
        return {name: float(value) for name, value in found.items() if value is not None}

    def total(self, text: Generation) -> float:
        """The mean of a text's rewards by weight, 0 to 1."""
        return self.weighted(self.of(text))

    def weighted(self, rewards: Mapping[str, float]) -> float:
        """The mean by weight of rewards by name; 0 if none has a weight."""
        weight = sum(self.weights[name] for name in rewards)
        total = sum(self.weights[name] * value for name, value in rewards.items())
        return total / weight if weight else 0.0


def rewards_of(task: str, training: Iterable[str], weights: RewardWeights) -> Rewards:
    """The rewards of a task; `training` are the texts from which nothing is to be copied."""
    if task == "poetry":
        learnt = frozenset(line for text in training for line in verse_lines(text))
        scorers = _of_poems(learnt)
        floors = {"different_characters": LEAST_DIFFERENT}
    else:
        scorers, floors = _OF_PROSE, {"seq_rep_4": LEAST_NEW_4GRAMS}
    return Rewards(scorers, {name: getattr(weights, name) for name in scorers}, floors)


def _of_poems(learnt: Collection[str]) -> dict[str, Scorer]:
    return {
        "form": lambda each: exact_form(each.text, each.reference, asked_tune(each.prompt)),
        "rhyme": lambda each: rhymed(each.text, asked_tune(each.prompt)),
        "tone_share": _tone_share,
        "first_line": lambda each: first_line_kept(each.prompt, each.text),
        "different_characters": lambda each: different_characters(each.text),
        "copied_lines": partial(_new_lines, learnt=learnt),
    }


def _tone_share(poem: Generation) -> float | None:
    tune = asked_tune(poem.prompt)
    bound = tune or recent_style(verse_lines(poem.reference))
    return tone_share(poem.text, tune) if bound else None


def _new_lines(poem: Generation, learnt: Collection[str]) -> float:
    # A text without further lines has copied none, which is no merit.
    copied = copied_lines(poem.text, learnt)
    return 1 - copied if len(verse_lines(poem.text)) > 1 else 0.0


_OF_PROSE: dict[str, Scorer] = {
    "length_score": lambda each: length_score(each.text, each.reference),
    "ended": lambda each: ends_properly(each.text, each.finish_reason),
    "seq_rep_4": lambda each: 1 - sequence_repetition(each.text, 4),
}
