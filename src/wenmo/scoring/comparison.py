"""Tuned against base on the same rows: a paired difference and how sure it is."""

from collections.abc import Sequence

from wenmo.model.loading import Precision
from wenmo.params import PositiveInt, Section


class EvaluateParams(Section):
    """Section `evaluate`."""

    precision: Precision
    resamples: PositiveInt


def compare(
    base: Sequence[float], tuned: Sequence[float], higher_is_better: bool, resamples: int, seed: int
) -> dict[str, float]:
    """The mean improvement of tuned over base, row by row; positive is better for every score.

    `ci_low` and `ci_high` bound the 95% percentile bootstrap interval, `p_value` is that of a
    two-sided sign-flip permutation test, and `win_rate` is the share of rows that tuned wins, a
    draw counting half (Koehn 2004, https://aclanthology.org/W04-3250).
    """
    import numpy as np
    from scipy import stats

    gains = (np.asarray(tuned) - np.asarray(base)) * (1 if higher_is_better else -1)
    interval = stats.bootstrap(
        (gains,),
        np.mean,
        n_resamples=resamples,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    test = stats.permutation_test(
        (gains,),
        np.mean,
        permutation_type="samples",
        n_resamples=resamples,
        rng=np.random.default_rng(seed),
    )
    return {
        "primary": float(gains.mean()),
        "ci_low": float(interval.low),
        "ci_high": float(interval.high),
        "p_value": float(test.pvalue),
        "win_rate": float(((gains > 0) + (gains == 0) / 2).mean()),
    }
