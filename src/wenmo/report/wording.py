"""Figures in words and digits."""

from collections.abc import Mapping, Sequence
from typing import Any

from wenmo.report.names import SCORE_NAMES

SIGNIFICANT = 0.05
"""A difference is significant if its p value is below this."""

FEWEST = 6
"""With fewer rows, or books, no sign-flip test can be significant: 2 / 2**5 = 0.0625."""


def by_rule(scores: Mapping[str, Any]) -> str:
    """That poems were decoded by rule, and which scores show nothing for it; else empty."""
    forced = scores.get("by_rule", {})
    names = [name for name in SCORE_NAMES if name in forced]
    if not names:
        return ""
    listed = _listed([SCORE_NAMES[name] for name in names])
    return f"Decoded by rule: {listed} are the decoder's, and no model has learnt them."


def verdict(scores: Mapping[str, Any], primary: str) -> str:
    """The page's headline: whether tuned is better by its primary score.

    `scores` is the content of metrics/evaluate/<task>.json. A difference is certain only if the p
    value is significant and the interval leaves out 0. For a few books the interval alone is too
    narrow (see `wenmo.scoring.comparison.compare`).
    """
    delta, few = scores["delta"], _too_few(scores)
    if not delta["wins"] + delta["losses"]:
        name, value = SCORE_NAMES[primary], "the same" if scores["base"][primary] else "0"
        so = "too few to tell" if few else "so it does not tell"
        return (
            f"{name[0].upper()}{name[1:]} is {value} for base and tuned in all {delta['ties']}"
            f" rows, {so} them apart."
        )
    # A held-out loss measures how well the model predicts given texts, not what it writes.
    does, to_do, what = (
        ("predicts", "predict", " the held-out texts")
        if primary == "loss_per_character"
        else ("writes", "write", "")
    )
    if not delta["primary"]:
        return f"Tuned {does}{what} neither better nor worse than base."
    direction = "better" if delta["primary"] > 0 else "worse"
    if _is_certain(delta):
        return f"Tuned {does}{what} {direction} than base."
    doubt = f"{few} to be certain" if few else "that is not certain"
    return f"Tuned seems to {to_do}{what} {direction} than base, but {doubt}."


def changes(scores: Mapping[str, Any], primary: str) -> str:
    """What else tells base and tuned apart, where the primary score does not; empty if it does."""
    deltas = scores.get("deltas", {})
    if not deltas or _is_certain(scores["delta"]):
        return ""
    names = [name for name in SCORE_NAMES if name in deltas and name != primary]
    if certain := [name for name in names if deltas[name]["p_holm"] < SIGNIFICANT]:
        return f"By other scores, tuned is {_directions(certain, deltas)}."
    if likely := [name for name in names if _leaves_out_0(deltas[name])]:
        return (
            f"By other scores, tuned seems {_directions(likely, deltas)}, but that is not certain."
        )
    return "No other score tells them apart."


def _is_certain(delta: Mapping[str, float]) -> bool:
    return delta["p_value"] < SIGNIFICANT and _leaves_out_0(delta)


def _leaves_out_0(delta: Mapping[str, float]) -> bool:
    return delta["ci_low"] * delta["ci_high"] > 0


def _too_few(scores: Mapping[str, Any]) -> str:
    """That there are too few rows, or books, for any certainty; empty if there are enough."""
    delta, books = scores["delta"], scores.get("books", 1)
    count, units = (
        (books, "books") if books > 1 else (delta["wins"] + delta["ties"] + delta["losses"], "rows")
    )
    return f"{count} {units} are too few" if count < FEWEST else ""


def _directions(names: Sequence[str], deltas: Mapping[str, Mapping[str, float]]) -> str:
    """Such as: better in ROUGE-1 and length score, and worse in self-BLEU."""
    better = [SCORE_NAMES[name] for name in names if deltas[name]["improvement"] > 0]
    worse = [SCORE_NAMES[name] for name in names if deltas[name]["improvement"] < 0]
    parts = (("better", better), ("worse", worse))
    return ", and ".join(f"{how} in {_listed(scores)}" for how, scores in parts if scores)


def _listed(words: Sequence[str]) -> str:
    *before, last = words
    return f"{', '.join(before)} and {last}" if before else last


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
