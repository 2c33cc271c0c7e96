"""Held-out loss: how surprised a model is by texts that it has not seen."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from wenmo.config.chat import ChatParams
from wenmo.config.params_file import Precision
from wenmo.core.records import HeldOutLoss, Row
from wenmo.model.answer_loss import AnswerLoss
from wenmo.model.chat import conversation, end_token
from wenmo.model.loading import load_model, load_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def held_out_losses(
    folder: Path, rows: Sequence[Row], chat: ChatParams, precision: Precision, label: str
) -> list[HeldOutLoss]:
    """For each row, -log p(answer and its end | prompt) in nats, over the answer's characters.

    Dividing by characters instead of tokens makes models with different tokenizers comparable. Rows
    are read one at a time, so that no padding can change a figure. `label` names the progress bar.
    Raises UserError if `folder` holds no whole model.
    """
    from tqdm import tqdm

    model, tokenizer = load_model(folder, precision).eval(), load_tokenizer(folder)
    of_rows = losses(model, tokenizer, tqdm(rows, desc=label, unit="row"), chat)
    return [HeldOutLoss(row.id, loss) for row, loss in zip(rows, of_rows, strict=True)]


def losses(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    rows: Iterable[Row],
    chat: ChatParams,
) -> Iterator[float]:
    """The loss of each row as `held_out_losses` has it, by a model that is in memory."""
    import numpy as np

    of_answer, end = AnswerLoss(model), end_token(tokenizer)
    for row in rows:
        tokens = conversation(tokenizer, row, chat)
        # A template may write a newline after the end, which no engine waits for.
        answer = tokens.answer[: np.flatnonzero(tokens.answer == end)[-1] + 1]
        yield of_answer.nats(tokens.prompt.tolist(), answer.tolist()) / len(row.output)
