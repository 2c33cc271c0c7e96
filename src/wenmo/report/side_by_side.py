"""The texts of base and tuned row by row, as the page shows them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from wenmo.core.records import Generation
from wenmo.report.marks import shared_runs
from wenmo.scoring.catalogue import LOWER_IS_BETTER, primary_score
from wenmo.scoring.poetry import exact_form, rhymed, tones_kept
from wenmo.text.asked_verse import asked_tune
from wenmo.text.prosody import recent_style
from wenmo.text.verse import verse_lines

Line = list[tuple[str, bool]]

MODELS = ("base", "tuned")


@dataclass(frozen=True)
class MarkedText:
    """One generation. Its lines are cut into pieces, each with whether the reference contains it.

    `kept` says for a poem's form, rhyme and tones whether the poem keeps them.
    """

    lines: list[Line]
    tokens: int
    finish_reason: str
    kept: dict[str, bool]


@dataclass(frozen=True)
class RowTexts:
    """A held-out row: pairs of texts by base and tuned, a pair per seed, and the primary scores.

    `outcome` says whether tuned `wins`, `ties` or `loses`. Outcome and scores are None if they are
    not known. `copied` names the models that copied from the training text.
    """

    anchor: str
    prompt: str
    reference: list[Line]
    draws: list[tuple[MarkedText, MarkedText]]
    base_score: float | None
    tuned_score: float | None
    outcome: str | None
    copied: list[str]


def rows_of_texts(
    task: str,
    base: Sequence[Generation],
    tuned: Sequence[Generation],
    by_row: Iterable[Mapping[str, Any]] = (),
) -> Iterator[RowTexts]:
    """The rows in their order. Raises ValueError if base and tuned are not of the same rows."""
    scores = {line["id"]: line for line in by_row}
    pairs = zip(base, tuned, strict=True)
    for number, (identity, group) in enumerate(groupby(pairs, lambda pair: pair[0].id), 1):
        draws = list(group)
        if any(second.id != identity for _, second in draws):
            raise ValueError(f"row {number}: base has {identity}, tuned has another row")
        first, _ = draws[0]
        of_models = {model: scores.get(identity, {}).get(model, {}) for model in MODELS}
        of_base, of_tuned = (each.get(primary_score(task)) for each in of_models.values())
        yield RowTexts(
            anchor=f"{identity[:12]}-{number}",
            prompt=first.prompt,
            reference=[[(line, False)] for line in first.reference.split("\n")],
            draws=[(_marked(task, one), _marked(task, other)) for one, other in draws],
            base_score=of_base,
            tuned_score=of_tuned,
            outcome=_outcome(task, of_base, of_tuned),
            copied=[model for model, each in of_models.items() if each.get("copied")],
        )


def _marked(task: str, generation: Generation) -> MarkedText:
    text, reference = generation.text, generation.reference
    lines = [list(shared_runs(line, reference)) for line in text.split("\n")] if text else []
    kept = {}
    if task == "poetry":
        tune = asked_tune(generation.prompt)
        kept = {"form": exact_form(text, reference, tune), "rhyme": rhymed(text, tune)}
        # The tone rules apply only if regulated verse or a tune was asked for.
        if tune or recent_style(verse_lines(reference)):
            kept["tones"] = tones_kept(text, tune)
    return MarkedText(lines, generation.tokens, generation.finish_reason, kept)


def _outcome(task: str, base: float | None, tuned: float | None) -> str | None:
    if base is None or tuned is None:
        return None
    gain = base - tuned if primary_score(task) in LOWER_IS_BETTER else tuned - base
    return "wins" if gain > 0 else "loses" if gain < 0 else "ties"
