"""Held-out loss: how surprised a model is by texts that it has not seen."""

from collections.abc import Sequence
from pathlib import Path

from wenmo.config.chat import ChatParams
from wenmo.config.params_file import Precision
from wenmo.core.records import HeldOutLoss, Row
from wenmo.model.chat import chat_text, prompt_messages
from wenmo.model.loading import load_model, load_tokenizer


def held_out_losses(
    folder: Path, rows: Sequence[Row], chat: ChatParams, precision: Precision, label: str
) -> list[HeldOutLoss]:
    """For each row, -log p(answer and its end | prompt) in nats, over the answer's characters.

    Dividing by characters instead of tokens makes models with different tokenizers comparable. Rows
    are read one at a time, so that no padding can change a figure. `label` names the progress bar.
    Raises UserError if `folder` holds no whole model.
    """
    import torch
    from tqdm import tqdm

    model, tokenizer = load_model(folder, precision).eval(), load_tokenizer(folder)
    losses = []
    for row in tqdm(rows, desc=label, unit="row"):
        prompt = chat_text(tokenizer, prompt_messages(chat.system_prompt, row.prompt))
        before = tokenizer(prompt, add_special_tokens=False)["input_ids"]
        after = tokenizer(row.output + tokenizer.eos_token, add_special_tokens=False)["input_ids"]
        ids = torch.tensor([before + after], device=model.device)
        with torch.inference_mode():
            scores = model(input_ids=ids).logits[0, len(before) - 1 : -1].float()
        surprise = torch.nn.functional.cross_entropy(scores, ids[0, len(before) :], reduction="sum")
        losses.append(HeldOutLoss(row.id, surprise.item() / len(row.output)))
    return losses
