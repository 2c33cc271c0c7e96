"""How many tokens the rows have, and which of them are longer than `train.max_length`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wenmo.config.chat import ChatParams
from wenmo.core.errors import UserError
from wenmo.core.records import Row
from wenmo.model.chat import turns

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Lengths:
    """Rows with the tokens of each one's whole conversation.

    A row of more than `max_length` tokens is left out: cut, it would never show how a text ends.
    """

    rows: Sequence[Row]
    tokens: Sequence[int]
    max_length: int

    @property
    def fitting(self) -> list[Row]:
        """The rows that are not left out."""
        pairs = zip(self.rows, self.tokens, strict=True)
        return [row for row, tokens in pairs if tokens <= self.max_length]

    @property
    def over(self) -> list[int]:
        """The tokens of each row that is left out."""
        return [tokens for tokens in self.tokens if tokens > self.max_length]

    def ledger(self) -> dict[str, float]:
        """Counts of rows and tokens that training learns from and of those that it leaves out.

        `tokens_over_length` are those beyond `max_length`, which cutting the rows would lose;
        `truncated_share` is the share of rows that are left out.
        """
        over = self.over
        return {
            "rows": len(self.tokens) - len(over),
            "tokens": sum(self.tokens) - sum(over),
            "rows_over_length": len(over),
            "tokens_over_length": sum(over) - len(over) * self.max_length,
            "truncated_share": round(len(over) / len(self.tokens), 4) if self.tokens else 0.0,
            "longest_row_tokens": max(self.tokens, default=0),
        }

    def refuse_if_over(self, max_truncated: float) -> None:
        """Raise UserError if a larger share of the rows is left out, saying what would do."""
        over = len(self.over)
        if over <= max_truncated * len(self.tokens):
            return
        ordered = sorted(self.tokens)
        enough = ordered[len(ordered) - 1 - int(max_truncated * len(ordered))]
        raise UserError(
            f"{over} of {len(ordered)} rows ({over / len(ordered):.1%}) are longer than"
            f" train.max_length ({self.max_length} tokens), and train.max_truncated allows"
            f" {max_truncated:.1%}; train.max_length {enough} would do, {ordered[-1]} takes all"
        )


def measure(
    rows: Sequence[Row], tokenizer: "PreTrainedTokenizerBase", chat: ChatParams, max_length: int
) -> Lengths:
    """Count every row's tokens, including those of the chat template and of the answer's end."""
    from tqdm import tqdm

    tokens = []
    for row in tqdm(rows, desc="measuring rows", unit="row"):
        said = turns(row, chat)
        ids = tokenizer.apply_chat_template(said["prompt"] + said["completion"])["input_ids"]
        tokens.append(len(ids))
    return Lengths(rows, tokens, max_length)
