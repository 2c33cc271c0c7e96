"""How long the tokenized rows are, and which are longer than `train.max_length`."""

from collections import Counter
from dataclasses import dataclass

from wenmo.core.errors import UserError


@dataclass(frozen=True)
class Lengths:
    """How many conversations have how many tokens, by the number of tokens.

    A row of which several answers are learnt counts as several if its template parts them.
    A row of more than `max_length` tokens is left out: cut, it would never show how a text ends.
    """

    counts: Counter[int]
    max_length: int

    @property
    def over(self) -> Counter[int]:
        """The counts of those that are left out."""
        return Counter({n: count for n, count in self.counts.items() if n > self.max_length})

    def ledger(self) -> dict[str, float]:
        """Counts of rows and tokens that training learns from and of those that it leaves out.

        `tokens_over_length` are those beyond `max_length`, which cutting the rows would lose;
        `truncated_share` is the share of rows that are left out.
        """
        count, over = self.counts.total(), self.over
        return {
            "rows": count - over.total(),
            "tokens": _tokens(self.counts) - _tokens(over),
            "rows_over_length": over.total(),
            "tokens_over_length": _tokens(over) - over.total() * self.max_length,
            "truncated_share": round(over.total() / count, 4) if count else 0.0,
            "longest_row_tokens": max(self.counts, default=0),
        }

    def refuse_if_over(self, max_truncated: float) -> None:
        """Raise UserError if a larger share of the rows is left out, saying what would do."""
        count, over = self.counts.total(), self.over.total()
        if over <= max_truncated * count:
            return
        longer = 0
        for enough in sorted(self.counts, reverse=True):
            longer += self.counts[enough]
            if longer > max_truncated * count:
                break
        raise UserError(
            "{over} of {count} rows ({share:.1%}) are longer than train.max_length ({max_length}"
            " tokens), and train.max_truncated allows {max_truncated:.1%}; train.max_length"
            " {enough} would do, {longest} takes all",
            over=over,
            count=count,
            share=over / count,
            max_length=self.max_length,
            max_truncated=max_truncated,
            enough=enough,
            longest=max(self.counts),
        )

    def refuse_if_none_fits(self) -> None:
        """Raise UserError if every row is left out."""
        if self.over == self.counts:
            raise UserError(
                "all {count} rows are longer than train.max_length ({max_length} tokens)",
                count=self.counts.total(),
                max_length=self.max_length,
            )


def _tokens(counts: Counter[int]) -> int:
    return sum(tokens * count for tokens, count in counts.items())
