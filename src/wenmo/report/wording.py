"""Figures in words and digits."""

from collections.abc import Mapping, Sequence
from typing import Any

from wenmo.core.language import N_, gettext, ngettext
from wenmo.report.names import SCORE_NAMES, score_name

SIGNIFICANT = 0.05
"""A difference is significant if its p value is below this."""

FEWEST = 6
"""With fewer rows, or books, no sign-flip test can be significant: 2 / 2**5 = 0.0625."""


_CERTAIN = {
    ("keeps", True): N_("Tuned keeps the form more often than base."),
    ("keeps", False): N_("Tuned keeps the form less often than base."),
    ("writes", True): N_("Tuned writes better than base."),
    ("writes", False): N_("Tuned writes worse than base."),
    ("predicts", True): N_("Tuned predicts the held-out texts better than base."),
    ("predicts", False): N_("Tuned predicts the held-out texts worse than base."),
}
_LIKELY = {
    ("keeps", True): N_("Tuned seems to keep the form more often than base, but {doubt}."),
    ("keeps", False): N_("Tuned seems to keep the form less often than base, but {doubt}."),
    ("writes", True): N_("Tuned seems to write better than base, but {doubt}."),
    ("writes", False): N_("Tuned seems to write worse than base, but {doubt}."),
    ("predicts", True): N_(
        "Tuned seems to predict the held-out texts better than base, but {doubt}."
    ),
    ("predicts", False): N_(
        "Tuned seems to predict the held-out texts worse than base, but {doubt}."
    ),
}
_NEITHER = {
    "keeps": N_("Tuned keeps the form neither more nor less often than base."),
    "writes": N_("Tuned writes neither better nor worse than base."),
    "predicts": N_("Tuned predicts the held-out texts neither better nor worse than base."),
}
_DOES = {"form": "keeps", "loss_per_character": "predicts"}
"""What the model does more or less of by a primary score that does not judge the writing itself."""

_TIES = {
    (True, True): N_(
        "{name} is the same for base and tuned in all {count} rows, too few to tell them apart."
    ),
    (True, False): N_(
        "{name} is the same for base and tuned in all {count} rows, so it does not tell them apart."
    ),
    (False, True): N_(
        "{name} is 0 for base and tuned in all {count} rows, too few to tell them apart."
    ),
    (False, False): N_(
        "{name} is 0 for base and tuned in all {count} rows, so it does not tell them apart."
    ),
}
"""By whether the value is other than 0, and whether the rows are too few."""


def by_rule(scores: Mapping[str, Any]) -> str:
    """That poems were decoded by rule, and which scores show nothing for it; else empty."""
    forced = scores.get("by_rule", {})
    names = [name for name in SCORE_NAMES if name in forced]
    if not names:
        return ""
    return gettext(
        "Decoded by rule: {names} are the decoder's, and no model has learnt them.",
        names=_listed([score_name(name) for name in names]),
    )


def verdict(scores: Mapping[str, Any], primary: str) -> str:
    """The page's headline: whether tuned is better by its primary score.

    `scores` is the content of metrics/evaluate/<task>.json. A difference is certain only if the p
    value is significant and the interval leaves out 0. For a few books the interval alone is too
    narrow (see `wenmo.scoring.comparison.compare`).
    """
    delta, few = scores["delta"], _too_few(scores)
    if not delta["wins"] + delta["losses"]:
        name = opening_name(primary)
        message = _TIES[bool(scores["base"][primary]), bool(few)]
        return gettext(message, name=name, count=delta["ties"])
    does = _DOES.get(primary, "writes")
    if not delta["primary"]:
        return gettext(_NEITHER[does])
    is_better = delta["primary"] > 0
    if _is_certain(delta):
        return gettext(_CERTAIN[does, is_better])
    return gettext(_LIKELY[does, is_better], doubt=few or gettext("that is not certain"))


def basis(scores: Mapping[str, Any]) -> str:
    """How many books the rows of a novel are from, and what follows; empty for other tasks."""
    books = scores.get("books", 0)
    if books == 1:
        return gettext("All rows are from one book, and the result holds for that book alone.")
    if books:
        return gettext(
            "The rows are from {count} books, and the interval draws whole books.", count=books
        )
    return ""


def changes(scores: Mapping[str, Any], primary: str) -> str:
    """What else tells base and tuned apart, where the primary score does not; empty if it does."""
    deltas = scores.get("deltas", {})
    if not deltas or _is_certain(scores["delta"]):
        return ""
    names = [name for name in SCORE_NAMES if name in deltas and name != primary]
    if certain := [name for name in names if deltas[name]["p_holm"] < SIGNIFICANT]:
        return gettext("By other scores, tuned is {how}.", how=_directions(certain, deltas))
    if likely := [name for name in names if _leaves_out_0(deltas[name])]:
        return gettext(
            "By other scores, tuned seems {how}, but that is not certain.",
            how=_directions(likely, deltas),
        )
    return gettext("No other score tells them apart.")


def _is_certain(delta: Mapping[str, float]) -> bool:
    return delta["p_value"] < SIGNIFICANT and _leaves_out_0(delta)


def _leaves_out_0(delta: Mapping[str, float]) -> bool:
    return delta["ci_low"] * delta["ci_high"] > 0


def _too_few(scores: Mapping[str, Any]) -> str:
    """That there are too few rows, or books, for any certainty; empty if there are enough."""
    delta, books = scores["delta"], scores.get("books", 1)
    rows = delta["wins"] + delta["ties"] + delta["losses"]
    if (books if books > 1 else rows) >= FEWEST:
        return ""
    if books > 1:
        return gettext("{count} books are too few to be certain", count=books)
    return gettext("{count} rows are too few to be certain", count=rows)


def _directions(names: Sequence[str], deltas: Mapping[str, Mapping[str, float]]) -> str:
    """Such as: better in ROUGE-1 and length score, and worse in self-BLEU."""
    better = _listed([score_name(name) for name in names if deltas[name]["improvement"] > 0])
    worse = _listed([score_name(name) for name in names if deltas[name]["improvement"] < 0])
    if better and worse:
        return gettext("better in {better}, and worse in {worse}", better=better, worse=worse)
    if worse:
        return gettext("worse in {scores}", scores=worse)
    return gettext("better in {scores}", scores=better)


def _listed(words: Sequence[str]) -> str:
    *before, last = words or [""]
    if not before:
        return last
    between = gettext(", ")
    return gettext("{before} and {last}", before=between.join(before), last=last)


def opening_name(score: str) -> str:
    """A score's name as it opens a sentence."""
    name = score_name(score)
    return f"{name[0].upper()}{name[1:]}"


def prompts(count: int) -> str:
    """How many prompts there are."""
    return ngettext("{count} prompt", "{count} prompts", count)


def number(value: float) -> str:
    """A score with three decimals, or with one from 10 on."""
    return f"{round(value, 3) + 0:.3f}" if abs(value) < 10 else f"{value:.1f}"


def signed(value: float) -> str:
    """A difference with its sign. The minus is U+2212."""
    digits = number(value)
    return digits.replace("-", "−") if digits.startswith("-") or not float(digits) else f"+{digits}"


def p_value(value: float) -> str:
    """A p value with four decimals, never rounded to 0."""
    return f"{value:.4f}" if value >= 0.0001 else "< 0.0001"


def percent(share: float) -> str:
    """A share (0 to 1) in whole per cent."""
    return f"{share:.0%}"
