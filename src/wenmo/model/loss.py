"""Held-out loss: how surprised a model is by texts that it has not seen."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from wenmo.config.chat import ChatParams
from wenmo.config.params_file import Precision
from wenmo.core.records import Row
from wenmo.model.chat import chat_text, prompt_messages
from wenmo.model.loading import load_model, load_tokenizer, refuse_without_model


def losses_of_models(
    folders: Mapping[str, Path], rows: Sequence[Row], chat: ChatParams, precision: Precision
) -> dict[str, list[float]]:
    """The losses of each model by its name.

    Raises UserError if one of the folders holds no whole model, before any is read.
    """
    for folder in folders.values():
        refuse_without_model(folder)
    return {
        name: losses_per_character(folder, rows, chat, precision, f"held-out loss of {name}")
        for name, folder in folders.items()
    }


def losses_per_character(
    folder: Path, rows: Sequence[Row], chat: ChatParams, precision: Precision, label: str
) -> list[float]:
    """For each row, -log p(answer and its end | prompt) in nats, over the answer's characters.

    Dividing by characters instead of tokens makes models with different tokenizers comparable.
    One row at a time, so that no padding can change a figure.
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
        losses.append(surprise.item() / len(row.output))
    return losses
