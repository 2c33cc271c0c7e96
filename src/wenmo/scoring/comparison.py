"""The comparison of tuned with base on the same rows: paired differences and their certainty."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def compare(
    base: Sequence[float],
    tuned: Sequence[float],
    higher_is_better: bool,
    resamples: int,
    seed: int,
    groups: Sequence[str] | None = None,
) -> dict[str, float]:
    """The mean improvement of tuned over base (`primary`), positive if tuned is better.

    `ci_low` and `ci_high` are the ends of the 95% percentile bootstrap interval. `p_value` is that
    of a two-sided sign-flip permutation test. `win_rate` is the share of rows that tuned wins; a
    tie counts half (Koehn 2004, https://aclanthology.org/W04-3250).

    Rows of one group, such as the passages of a book, are alike and so carry less evidence than
    rows of different books. `groups` has the name of each row's group; whole groups are drawn and
    change signs together (Cameron, Gelbach and Miller 2008,
    https://doi.org/10.1162/rest.90.3.414). With fewer than about ten groups even that interval is
    too narrow, and with fewer than six no p value can be below 0.05. With a single group its rows
    are drawn, and the result holds for that group alone.
    """
    import numpy as np
    from scipy import stats

    gains = _gains(base, tuned, higher_is_better)
    sums, sizes = _grouped(gains, groups)
    interval = stats.bootstrap(
        (sums, sizes),
        _mean_of_groups,
        n_resamples=resamples,
        method="percentile",
        paired=True,
        rng=np.random.default_rng(seed),
    ).confidence_interval
    test = stats.permutation_test(
        (sums,),
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


def outcomes(
    base: Sequence[float], tuned: Sequence[float], higher_is_better: bool
) -> dict[str, int]:
    """The numbers of rows that tuned wins, ties and loses."""
    gains = _gains(base, tuned, higher_is_better)
    return {
        "wins": int((gains > 0).sum()),
        "ties": int((gains == 0).sum()),
        "losses": int((gains < 0).sum()),
    }


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Holm's correction of p values for the number of scores (Holm 1979).

    The k-th smallest of m p values is multiplied by m - k + 1, and is no smaller than those before
    it. If the differences with a corrected p value below 0.05 are called real, the chance that any
    of them is not is below 5% (https://www.jstor.org/stable/4615733). The primary score, chosen
    beforehand, needs no correction: leave it out.
    """
    corrected, least = {}, 0.0
    by_size = sorted(p_values, key=lambda name: p_values[name])
    for before, name in enumerate(by_size):
        least = max(least, min(1.0, (len(by_size) - before) * p_values[name]))
        corrected[name] = least
    return {name: corrected[name] for name in p_values}


def _gains(
    base: Sequence[float], tuned: Sequence[float], higher_is_better: bool
) -> "NDArray[np.float64]":
    import numpy as np

    if len(base) != len(tuned):
        raise ValueError(f"{len(base)} rows of base against {len(tuned)} of tuned")
    higher, lower = (tuned, base) if higher_is_better else (base, tuned)
    return np.subtract(higher, lower, dtype=float)


def _grouped(
    gains: "NDArray[np.float64]", groups: Sequence[str] | None
) -> "tuple[NDArray[np.float64], NDArray[np.float64]]":
    """Sum and number of the gains per group, or per row if there are not two groups."""
    import numpy as np

    if groups is None or len(set(groups)) < 2:
        return gains, np.ones(len(gains))
    _, numbers, sizes = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
    sums = np.bincount(numbers, weights=gains).astype(np.float64)
    return sums, sizes.astype(np.float64)


def _mean_of_groups(
    sums: "NDArray[np.float64]", sizes: "NDArray[np.float64]", axis: int
) -> Any:  # scipy hands over one row or many
    return sums.sum(axis=axis) / sizes.sum(axis=axis)
