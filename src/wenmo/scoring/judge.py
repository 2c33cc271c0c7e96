"""An LLM as judge of base against tuned: row by row, in both orders, by the task's rubric.

Judges favour a place, often the first. So each is asked twice, with the texts swapped, and a text
wins only if it is preferred both times; all else is a tie (Zheng et al. 2023, section 3.4,
https://arxiv.org/abs/2306.05685). How often both answers agree is published beside the rates: a
judge that decides by place alone agrees with itself never. What it left unfinished counts in none
of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from wenmo.config.endpoints import Endpoint
from wenmo.config.evaluate import JudgeParams
from wenmo.core.errors import UserError
from wenmo.core.records import Generation
from wenmo.llm.asking import ask_all
from wenmo.llm.client import RefusedError, UnreachableError, Usage
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
    """What became of a row, for tuned, and what was said with base first and with tuned first.

    Both are None for a row that needs no judge, and either is where no answer would do.
    """

    verdict: Verdict
    base_first: Outcome | None = None
    tuned_first: Outcome | None = None


def judge(
    base: Sequence[Generation],
    tuned: Sequence[Generation],
    params: JudgeParams,
    endpoint: Endpoint,
    usage: Usage,
) -> dict[str, Judged]:
    """What became of each row, by its id; of several texts a row the first is judged.

    The same text twice is a tie and an empty one loses, without a question. What was asked of the
    endpoint is entered into `usage`, whatever happens; answers are kept in the store, and what it
    holds is not asked. Raises UserError if the endpoint refuses all requests or is gone.
    """
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
    votes = iter(_votes(pairs, params, endpoint, usage))
    return {row: unasked.get(row) or _both_orders(next(votes), next(votes)) for row in by_base}


def summary(
    judged: Mapping[str, Judged],
    resamples: int,
    seed: int,
    groups: Mapping[str, str] | None = None,
) -> dict[str, float]:
    """Rates over the rows that were judged, and how many there are of each kind.

    `tuned_win_rate` (a tie counting half) has a 95% interval and the p value of its being 0.5, as
    in `compare`; `groups` names the group of each row there. `consistency` is the share of rows
    with the same answer in both orders, among those that the judge finished; `unasked` rows needed
    no judge. A rate of no rows is left out, as is the interval of one row.
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
    """The vote about each pair; None where no answer would do or none came."""
    if not pairs:
        return []
    with Store(store_path()) as store:
        dialogues = [
            partial(next_request, pair, params, endpoint.model, store.get) for pair in pairs
        ]
        # Some endpoints refuse single texts for what they tell; the others are judged all the same.
        broken_off = ask_all(
            dialogues,
            endpoint,
            params,
            store,
            usage,
            "judgement",
            costs_one=(UnreachableError, RefusedError),
        )
        if len(broken_off) == len(pairs):
            fault = broken_off[0].removeprefix(f"{endpoint.base_url}: ")
            raise UserError(f"{endpoint.base_url}: no row could be judged: {fault}")
        return [vote(pair, params, endpoint.model, store.get) for pair in pairs]


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
