"""LLM-as-a-judge: base against tuned, row by row, in both orders, by the task's rubric.

Judges have a position bias, often for the first text. So the judge reads each pair twice, in both
orders, and a text wins only if it is preferred both times; all else is a tie (Zheng et al. 2023,
section 3.4, https://arxiv.org/abs/2306.05685). The consistency beside the rates is the share of
rows with the same answer both times: a judge that decides by position alone has 0. Rows without
both answers count in no rate.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from wenmo.config.endpoints import Endpoint
from wenmo.config.evaluate import JudgeParams
from wenmo.core.language import N_
from wenmo.core.records import Generation
from wenmo.llm.asking import ask_all
from wenmo.llm.client import Usage
from wenmo.llm.store import Store, store_path
from wenmo.scoring.comparison import compare
from wenmo.scoring.judge_dialogue import OrderedPair, Vote, next_request, vote

Outcome = Literal["win", "tie", "loss"]
Verdict = Outcome | Literal["unfinished"]

POINTS: dict[Verdict, float] = {"win": 1.0, "tie": 0.5, "loss": 0.0}

BASE_FIRST: dict[Vote, Outcome] = {"甲": "loss", "乙": "win", "平": "tie"}
TUNED_FIRST: dict[Vote, Outcome] = {"甲": "win", "乙": "loss", "平": "tie"}


@dataclass(frozen=True)
class Judged:
    """A row's verdict for tuned, and the judge's answers with base first and with tuned first.

    Both answers are None for a row that needs no judge; an answer without a vote is None.
    """

    verdict: Verdict
    base_first: Outcome | None = None
    tuned_first: Outcome | None = None


def judge(
    base: Sequence[Generation],
    tuned: Sequence[Generation],
    params: JudgeParams,
    usage: Usage,
) -> dict[str, Judged]:
    """The verdict on each row by its id, on the first text per row; empty if no LLM judges.

    Two equal texts are a tie and an empty text loses, without a request. Adds calls, tokens and
    price to `usage`, also if it raises. Answers are stored, and a stored answer is not asked for
    again. Raises UserError if the endpoint refuses all requests or is down.
    """
    if params.endpoint is None:
        return {}
    by_base, by_tuned = _first_by_id(base), _first_by_id(tuned)
    if by_base.keys() != by_tuned.keys():
        raise ValueError("base and tuned have written for different rows")
    unasked: dict[str, Judged] = {}
    pairs: list[OrderedPair] = []
    for row, written in by_base.items():
        before, after = written.text.strip(), by_tuned[row].text.strip()
        if before and after and before != after:
            pairs.append(OrderedPair(written.prompt, before, after))
            pairs.append(OrderedPair(written.prompt, after, before))
        else:
            unasked[row] = Judged("tie" if before == after else "win" if after else "loss")
    votes = iter(_votes(pairs, params, params.endpoint, usage))
    return {row: unasked.get(row) or _both_orders(next(votes), next(votes)) for row in by_base}


def summary(
    judged: Mapping[str, Judged],
    resamples: int,
    seed: int,
    groups: Mapping[str, str] | None = None,
) -> dict[str, float]:
    """Rates over the rows with a verdict, and the number of rows of each kind.

    `tuned_win_rate` counts a tie as half a win. Its 95% interval, and the p value of the hypothesis
    that it is 0.5, are those of `compare`, to which `groups` gives the group of each row.
    `consistency` is the share of rows with the same answer in both orders, among the rows that the
    judge finished; `unasked` rows needed no judge. A rate over no rows and the interval of one row
    are left out.
    """
    done = {row: each for row, each in judged.items() if each.verdict != "unfinished"}
    asked = [each for each in done.values() if each.base_first and each.tuned_first]
    points = [POINTS[each.verdict] for each in done.values()]
    rates: dict[str, float] = {}
    if points:
        rates["tuned_win_rate"] = sum(points) / len(points)
    if len(points) > 1:
        of_rows = [groups[row] for row in done] if groups else None
        found = compare([0.5] * len(points), points, True, resamples, seed, of_rows)
        rates |= {bound: 0.5 + found[bound] for bound in ("ci_low", "ci_high")}
        rates["p_value"] = found["p_value"]
    if asked:
        agreed = sum(each.base_first == each.tuned_first for each in asked)
        rates["consistency"] = agreed / len(asked)
    return rates | {
        "wins": points.count(POINTS["win"]),
        "ties": points.count(POINTS["tie"]),
        "losses": points.count(POINTS["loss"]),
        "judged": len(done),
        "unasked": len(done) - len(asked),
        "unfinished": len(judged) - len(done),
    }


def _first_by_id(generations: Sequence[Generation]) -> dict[str, Generation]:
    firsts: dict[str, Generation] = {}
    for each in generations:
        firsts.setdefault(each.id, each)
    return firsts


def _votes(
    pairs: Sequence[OrderedPair], params: JudgeParams, endpoint: Endpoint, usage: Usage
) -> list[Vote | None]:
    """The vote about each pair; None if no answer has a vote or none came."""
    if not pairs:
        return []
    with Store(store_path()) as store:
        dialogues = [partial(next_request, pair, params, endpoint, store.get) for pair in pairs]
        ask_all(dialogues, endpoint, store, usage, N_("judgement"), "evaluate.judge.endpoint")
        return [vote(pair, params, endpoint, store.get) for pair in pairs]


def _both_orders(base_first: Vote | None, tuned_first: Vote | None) -> Judged:
    """The verdict from the votes in both orders."""
    if base_first is None or tuned_first is None:
        return Judged(
            "unfinished",
            BASE_FIRST[base_first] if base_first else None,
            TUNED_FIRST[tuned_first] if tuned_first else None,
        )
    one, other = BASE_FIRST[base_first], TUNED_FIRST[tuned_first]
    return Judged(one if one == other else "tie", one, other)
