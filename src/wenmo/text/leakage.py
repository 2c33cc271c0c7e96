"""Leakage: how much of the held-out texts occurs in the training texts."""

from collections.abc import Sequence
from dataclasses import dataclass

from wenmo.core.errors import UserError
from wenmo.core.records import Row
from wenmo.text.characters import COPY_NGRAM, ngrams


@dataclass(frozen=True)
class Leakage:
    """The share of held-out 13-grams that occur in a training row, over all rows and by row."""

    share: float
    by_row: list[tuple[float, Row]]


def measure(train: Sequence[Row], held_out: Sequence[Row]) -> Leakage:
    """How much of the held-out outputs occurs in the training outputs, in n-grams of COPY_NGRAM."""
    wanted = {ngram for row in held_out for ngram in _ngrams(row)}
    seen = {ngram for row in train for ngram in _ngrams(row) if ngram in wanted}
    by_row, leaked, total = [], 0, 0
    for row in held_out:
        of_text = _ngrams(row)
        of_row = sum(ngram in seen for ngram in of_text)
        by_row.append((of_row / len(of_text) if of_text else 0.0, row))
        leaked, total = leaked + of_row, total + len(of_text)
    return Leakage(leaked / total if total else 0.0, by_row)


def refuse_leakage(leakage: Leakage, bound: float, task: str) -> None:
    """Raise UserError naming the worst rows if more than `bound` of the 13-grams leak."""
    if leakage.share <= bound:
        return
    worst = sorted(leakage.by_row, key=lambda pair: -pair[0])[:5]
    rows = ", ".join(f"{row.source} row {row.position} ({share:.0%})" for share, row in worst)
    raise UserError(
        f"{task}: {leakage.share:.1%} of the held-out 13-grams stand in the training rows"
        f" (merge.max_leakage is {bound:.1%}), most in {rows}"
    )


def _ngrams(row: Row) -> list[str]:
    return ngrams(row.output, COPY_NGRAM)
