"""How figures are put in words and digits."""

from collections.abc import Mapping

SURE = 0.05
"""A p value below this is sure."""


def verdict(delta: Mapping[str, float], primary: str) -> str:
    """Whether tuned does better, by the primary score's comparison and in what that one measures.

    It is sure only where test and interval both are: of a few books, whose rows are alike, the
    interval is too narrow (`wenmo.scoring.comparison.compare`).
    """
    # A loss is of other people's texts: it says nothing yet of what the model writes itself.
    does, to_do, what = (
        ("predicts", "predict", " the held-out texts")
        if primary == "loss_per_character"
        else ("writes", "write", "")
    )
    direction = "better" if delta["primary"] > 0 else "worse"
    if not delta["primary"]:
        return f"Tuned {does}{what} neither better nor worse than base."
    if delta["p_value"] < SURE and delta["ci_low"] * delta["ci_high"] > 0:
        return f"Tuned {does}{what} {direction} than base."
    return f"Tuned seems to {to_do}{what} {direction} than base, but that is not certain."


def number(value: float) -> str:
    """A score, with three decimals where they can matter."""
    return f"{round(value, 3) + 0:.3f}" if abs(value) < 10 else f"{value:.1f}"


def signed(value: float) -> str:
    """A difference with its sign, which is a real minus."""
    digits = number(value)
    return digits.replace("-", "−") if digits.startswith("-") or not float(digits) else f"+{digits}"


def p_value(value: float) -> str:
    """A p value, rounded and yet never 0."""
    return f"{value:.4f}" if value >= 0.0001 else "< 0.0001"


def percent(share: float) -> str:
    """A share, 0 to 1, in whole per cent."""
    return f"{share:.0%}"
