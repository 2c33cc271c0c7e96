"""metrics/<task>.json: base, tuned and the paired difference of the primary score."""

from wenmo.scoring.comparison import compare
from wenmo.scoring.scorecard import LOWER_IS_BETTER, Scorecard, primary_score

DECIMALS = 4

Metrics = dict[str, dict[str, float]]


def paired_metrics(
    task: str, base: Scorecard, tuned: Scorecard, resamples: int, seed: int
) -> Metrics:
    """{"base": scores, "tuned": scores, "delta": comparison}, rounded, keys in a fixed order."""
    delta = compare(
        base.primary,
        tuned.primary,
        higher_is_better=primary_score(task) not in LOWER_IS_BETTER,
        resamples=resamples,
        seed=seed,
    )
    parts = {"base": base.scores, "tuned": tuned.scores, "delta": delta}
    return {
        name: {key: round(value, DECIMALS) for key, value in part.items()}
        for name, part in parts.items()
    }
