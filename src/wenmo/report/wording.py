"""Figures in words and digits."""

from collections.abc import Mapping

SIGNIFICANT = 0.05
"""A difference is significant if its p value is below this."""


def verdict(delta: Mapping[str, float], primary: str) -> str:
    """The page's headline: whether tuned is better by its primary score.

    A difference is certain only if the p value is significant and the interval leaves out 0. For
    a few books the interval alone is too narrow (see `wenmo.scoring.comparison.compare`).
    """
    # A held-out loss measures how well the model predicts given texts, not what it writes.
    does, to_do, what = (
        ("predicts", "predict", " the held-out texts")
        if primary == "loss_per_character"
        else ("writes", "write", "")
    )
    direction = "better" if delta["primary"] > 0 else "worse"
    if not delta["primary"]:
        return f"Tuned {does}{what} neither better nor worse than base."
    if delta["p_value"] < SIGNIFICANT and delta["ci_low"] * delta["ci_high"] > 0:
        return f"Tuned {does}{what} {direction} than base."
    return f"Tuned seems to {to_do}{what} {direction} than base, but that is not certain."


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
