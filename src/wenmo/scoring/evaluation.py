"""Whether tuned writes better than base: all scores of a task, compared row by row."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from math import isfinite
from typing import Any

from wenmo.config.evaluate import EvaluateParams
from wenmo.core.errors import UserError
from wenmo.core.ordered_map import ordered_map
from wenmo.core.records import Generation, Row
from wenmo.scoring.catalogue import (
    LOWER_IS_BETTER,
    NEITHER_IS_BETTER,
    forced_scores,
    primary_score,
)
from wenmo.scoring.comparison import compare, holm, outcomes
from wenmo.scoring.copying import Copied, copied
from wenmo.scoring.judge import Judged, summary
from wenmo.scoring.measures import by_measure
from wenmo.scoring.scorecard import (
    Scorecard,
    Setting,
    Values,
    averaged,
    reference_scores,
    score,
    seed_noise,
    with_loss,
)
from wenmo.text.verse import verse_lines

DECIMALS = 4

HEADLINE = ("loss_per_character", "form", "rhyme", "tones", "first_line", "different_characters")
"""The scores that `dvc exp show` and `dvc metrics diff` list, as far as a task has them."""

HEADLINE_DELTA = ("primary", "ci_low", "ci_high", "p_value", "win_rate")

Scores = dict[str, dict[str, float]]
Draw = Sequence[Generation]


@dataclass(frozen=True)
class ModelResult:
    """What a model did with the held-out rows.

    `generations` are in the rows' order, and several of a row stand together. `losses` are those of
    each row's own text, in nats per character.
    """

    generations: Sequence[Generation]
    losses: Sequence[float]


@dataclass(frozen=True)
class Evaluation:
    """What evaluate writes, as it is written.

    `headline` goes to metrics/<task>.json: {"base": scores, "tuned": scores, "delta": the primary
    score's comparison}, with the scores of HEADLINE alone. Of texts that were decoded by rule it
    has besides {"by_rule": {score: 1, …}}, the scores that are the rule's. `details` goes to
    metrics/evaluate/<task>.json: the same with all scores, the overlap scores' floors, the
    references' own scores, the other scores' comparisons, those of poems by measure, and what was
    asked for beyond. `by_row`
    goes to reports/<task>.jsonl: each row's scores.
    """

    headline: Scores
    details: dict[str, Any]
    by_row: list[dict[str, Any]]


def evaluate(
    task: str,
    rows: Sequence[Row],
    training: Iterable[Row],
    base: ModelResult,
    tuned: ModelResult,
    params: EvaluateParams,
    seed: int,
    judged: Mapping[str, Judged] | None = None,
) -> Evaluation:
    """Score what both models wrote for the held-out `rows`, and compare them.

    `training` are the rows that tuned learnt: what it copied is sought there. They are gone through
    more than once, and need not fit into memory. `judged` is what an
    LLM said, by row id, if one was asked. Raises UserError if fewer than two rows are held out or a
    loss is not a finite number.
    """
    _refuse_too_few(task, rows)
    _refuse_broken_losses(rows, {"base": base.losses, "tuned": tuned.losses})
    poems = training if task == "poetry" else []
    lines = frozenset(line for row in poems for line in verse_lines(row.output))
    setting = Setting(task, params.window, lines, seed)
    draws = {
        "base": _draws(base.generations, len(rows)),
        "tuned": _draws(tuned.generations, len(rows)),
    }
    references = draws["base"][0]
    written = [*draws["base"], *draws["tuned"]]
    *copies, of_references = _copies(written, references, (row.output for row in training))
    scored = ordered_map(partial(_scored, setting), zip(written, copies, strict=True))
    cards = {name: [*islice(scored, len(of_model))] for name, of_model in draws.items()}
    first = _rounded_rows(with_loss(averaged(cards["base"]), base.losses))
    second = _rounded_rows(with_loss(averaged(cards["tuned"]), tuned.losses))

    books = [row.source for row in rows] if task == "novel" else None
    delta, deltas = _compared(task, first, second, books, params, seed)
    details: dict[str, Any] = {"base": first.scores, "tuned": second.scores, "delta": delta}
    if forced := _forced(base.generations, tuned.generations):
        details["by_rule"] = forced
    if books:
        details["books"] = len(set(books))
    details |= {
        "floors": {"base": first.floors, "tuned": second.floors},
        "references": reference_scores(references, of_references, setting),
        "deltas": deltas,
    }
    if len(draws["base"]) > 1:
        details["seed_noise"] = {name: seed_noise(each) for name, each in cards.items()}
    if task == "poetry":
        texts = {"base": first, "tuned": second}
        details["measures"] = by_measure(references, texts)
    if judged:
        book_of = {row.id: row.source for row in rows} if books else None
        details["judge"] = summary(judged, params.resamples, seed, book_of)
    details = _rounded(details)
    return Evaluation(_headline(details), details, _by_row(rows, first, second, judged or {}))


def _refuse_too_few(task: str, rows: Sequence[Row]) -> None:
    if len(rows) < 2:
        raise UserError(
            "data/merged/{task}/eval.jsonl: {count} row held out, which shows nothing; raise"
            " merge.eval_fraction or merge.max_eval_rows",
            task=task,
            count=len(rows),
        )


def _refuse_broken_losses(rows: Sequence[Row], losses: Mapping[str, Sequence[float]]) -> None:
    for model, of_rows in losses.items():
        for row, loss in zip(rows, of_rows, strict=True):
            if not isfinite(loss):
                raise UserError(
                    "{model}: the held-out loss of {source} row {position} is {loss}; set"
                    " generate.precision to fp32 or bf16, or train with a lower learning rate",
                    model=model,
                    source=row.source,
                    position=row.position,
                    loss=loss,
                )


def _draws(generations: Sequence[Generation], rows: int) -> list[Draw]:
    """The first generation of every row, the second of every row, and so on."""
    draws = len(generations) // rows
    return [generations[draw::draws] for draw in range(draws)]


def _copies(draws: Sequence[Draw], references: Draw, training: Iterable[str]) -> list[list[Copied]]:
    """What the texts of each draw, and last the references, have copied."""
    texts = [[each.text for each in draw] for draw in draws]
    texts.append([each.reference for each in references])
    found = copied([text for of_draw in texts for text in of_draw], training)
    rows = len(references)
    return [found[at : at + rows] for at in range(0, len(found), rows)]


def _scored(setting: Setting, texts: tuple[Draw, list[Copied]]) -> Scorecard:
    return score(*texts, setting)


def _compared(
    task: str,
    base: Scorecard,
    tuned: Scorecard,
    groups: Sequence[str] | None,
    params: EvaluateParams,
    seed: int,
) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """The comparison by the primary score, and those by all others, corrected for their number."""
    compared = {}
    for name in base.by_row:
        if name in NEITHER_IS_BETTER:
            continue
        first, second, of_rows = _where_it_applies(base.by_row[name], tuned.by_row[name], groups)
        if len(first) > 1:
            higher = name not in LOWER_IS_BETTER
            compared[name] = compare(first, second, higher, params.resamples, seed, of_rows)
            if name == primary_score(task):
                compared[name] |= outcomes(first, second, higher)
    delta = compared.pop(primary_score(task))
    corrected = holm({name: each["p_value"] for name, each in compared.items()})
    deltas = {
        name: {
            "improvement": each["primary"],
            "ci_low": each["ci_low"],
            "ci_high": each["ci_high"],
            "p_value": each["p_value"],
            "p_holm": corrected[name],
        }
        for name, each in compared.items()
    }
    return delta, deltas


def _where_it_applies(
    base: Values, tuned: Values, groups: Sequence[str] | None
) -> tuple[list[float], list[float], list[str] | None]:
    """Both models' values and groups in the rows that a score applies to."""
    pairs = [
        (at, first, second)
        for at, (first, second) in enumerate(zip(base, tuned, strict=True))
        if first is not None and second is not None
    ]
    of_rows = [groups[at] for at, _, _ in pairs] if groups is not None else None
    return [first for _, first, _ in pairs], [second for _, _, second in pairs], of_rows


def _by_row(
    rows: Sequence[Row], base: Scorecard, tuned: Scorecard, judged: Mapping[str, Judged]
) -> list[dict[str, Any]]:
    return [
        {
            "id": row.id,
            "source": row.source,
            "prompt": row.prompt,
            "base": _of_row(base, at),
            "tuned": _of_row(tuned, at),
        }
        | ({"judge": judged[row.id].verdict} if row.id in judged else {})
        for at, row in enumerate(rows)
    ]


def _of_row(card: Scorecard, at: int) -> dict[str, float]:
    values = {name: values[at] for name, values in card.by_row.items()}
    return {name: value for name, value in values.items() if value is not None}


def _headline(details: Mapping[str, Any]) -> Scores:
    models = {
        model: {name: value for name, value in details[model].items() if name in HEADLINE}
        for model in ("base", "tuned")
    }
    interval = {name: details["delta"][name] for name in HEADLINE_DELTA}
    rule = {"by_rule": details["by_rule"]} if "by_rule" in details else {}
    return {**models, "delta": interval, **rule}


def _forced(*generations: Sequence[Generation]) -> dict[str, float]:
    """The scores that some texts have by the rule that they were decoded by, each with a 1."""
    rules = {each.verse for of_model in generations for each in of_model}
    forced = {score for rule in rules for score in forced_scores(rule)}
    return dict.fromkeys(sorted(forced), 1)


def _rounded_rows(card: Scorecard) -> Scorecard:
    """Rows are compared as they are written, so that no difference is won that nobody sees."""
    return replace(card, by_row=_rounded(card.by_row))


def _rounded(content: Any) -> Any:
    """The same with every number that is not whole rounded."""
    if isinstance(content, dict):
        return {key: _rounded(each) for key, each in content.items()}
    if isinstance(content, list):
        return [_rounded(each) for each in content]
    return round(content, DECIMALS) if isinstance(content, float) else content
