"""The rows' tokens, and which rows have more of them than `train.max_length`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wenmo.config.chat import ChatParams
from wenmo.core.errors import UserError
from wenmo.core.records import Row
from wenmo.model.chat import Conversation, conversation
from wenmo.model.turns import every_answer, joined

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Lengths:
    """Tokenized rows, and the number of tokens of each row's whole conversation.

    A row of which several answers are learnt counts as several if its template parts them.
    A row of more than `max_length` tokens is left out: cut, it would never show how a text ends.
    """

    conversations: Sequence[Conversation]
    max_length: int

    @property
    def tokens(self) -> list[int]:
        """The number of tokens per row."""
        return [len(each) for each in self.conversations]

    @property
    def fitting(self) -> list[Conversation]:
        """The rows that are not left out."""
        return [each for each in self.conversations if len(each) <= self.max_length]

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
            "{over} of {count} rows ({share:.1%}) are longer than train.max_length ({max_length}"
            " tokens), and train.max_truncated allows {max_truncated:.1%}; train.max_length"
            " {enough} would do, {longest} takes all",
            over=over,
            count=len(ordered),
            share=over / len(ordered),
            max_length=self.max_length,
            max_truncated=max_truncated,
            enough=enough,
            longest=ordered[-1],
        )


def measure(
    rows: Sequence[Row],
    tokenizer: "PreTrainedTokenizerBase",
    chat: ChatParams,
    max_length: int,
    mask_history: bool = True,
) -> Lengths:
    """Tokenize every row with its system prompt, by the chat template, up to what closes it.

    Its last answer is learnt from, and without `mask_history` each answer before it, too.
    """
    from tqdm import tqdm

    found: list[Conversation] = []
    for row in tqdm(rows, desc="tokenizing rows", unit="row"):
        learnt = [row] if mask_history else every_answer(row)
        found += joined([conversation(tokenizer, each, chat) for each in learnt])
    return Lengths(found, max_length)
