"""Held-out loss: how surprised a model is by texts that it has not seen."""

from collections.abc import Sequence
from pathlib import Path

from wenmo.config.chat import ChatParams
from wenmo.config.params_file import Precision
from wenmo.core.records import HeldOutLoss, Row
from wenmo.model.answer_loss import AnswerLoss
from wenmo.model.chat import conversation, end_token
from wenmo.model.loading import load_model, load_tokenizer


def held_out_losses(
    folder: Path, rows: Sequence[Row], chat: ChatParams, precision: Precision, label: str
) -> list[HeldOutLoss]:
    """For each row, -log p(answer and its end | prompt) in nats, over the answer's characters.

    Dividing by characters instead of tokens makes models with different tokenizers comparable. Rows
    are read one at a time, so that no padding can change a figure. `label` names the progress bar.
    Raises UserError if `folder` holds no whole model.
    """
    import numpy as np
    from tqdm import tqdm

    model, tokenizer = load_model(folder, precision).eval(), load_tokenizer(folder)
    of_answer, end, losses = AnswerLoss(model), end_token(tokenizer), []
    for row in tqdm(rows, desc=label, unit="row"):
        tokens = conversation(tokenizer, row, chat)
        # A template may write a newline after the end, which no engine waits for.
        answer = tokens.answer[: np.flatnonzero(tokens.answer == end)[-1] + 1]
        nats = of_answer.nats(tokens.prompt.tolist(), answer.tolist())
        losses.append(HeldOutLoss(row.id, nats / len(row.output)))
    return losses
