"""Adapter into base: one folder of weights that any engine serves without knowing of LoRA."""

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wenmo.config.chat import ChatParams
from wenmo.config.merge_weights import MergeWeightsParams
from wenmo.config.params_file import Precision
from wenmo.core.errors import UserError
from wenmo.core.language import gettext
from wenmo.core.records import Row
from wenmo.model.chat import chat_text, prompt_messages
from wenmo.model.loading import load_model, load_tokenizer, refuse_without_adapter, refusing_misfits

if TYPE_CHECKING:
    import torch
    from transformers import GenerationConfig, PreTrainedModel

COMPARED_TOKENS = 128
"""Tokens compared at the end of each row; logits over a large vocabulary take much memory."""

TOLERANCE = {"fp32": 1e-4, "fp16": 0.02, "bf16": 0.1}
"""Largest difference of a merged model's logits from base plus adapter, over the largest logit.

Merging rounds the sum of two weights once more. Rounding to bf16 (8 bits of precision), layer
after layer, moves scores by a few hundredths; a merge gone wrong moves them by as much as they are.
"""


@dataclass(frozen=True)
class Agreement:
    """How near merged weights are to base plus adapter, over the compared tokens.

    The largest difference between two scores (logits), also as a share of the largest score, and
    the share of tokens for which both find the same next one likeliest.
    """

    largest_logit_difference: float
    relative_logit_difference: float
    greedy_agreement: float


def merge_adapter(
    base: Path,
    adapter: Path,
    output: Path,
    rows: Sequence[Row],
    params: MergeWeightsParams,
    chat: ChatParams,
) -> dict[str, float]:
    """Write base plus adapter as safetensors shards with tokenizer and generation config.

    The base is read unquantised, also where the adapter was trained on a quantised one. The written
    weights are then read again and compared with base plus adapter on the first `compared_rows` of
    `rows`. Returns the agreement; raises UserError if it is less than the number format explains.
    """
    from peft import PeftModel

    compared = rows[: params.compared_rows]
    refuse_without_adapter(adapter)
    model = load_model(base, params.precision)
    with refusing_misfits(adapter):
        model = PeftModel.from_pretrained(model, adapter).eval()
    expected = logits(model, base, compared, chat)
    merged = model.merge_and_unload(progressbar=True, safe_merge=True)
    merged.generation_config = savable(merged.generation_config)
    merged.save_pretrained(output, max_shard_size=params.max_shard_size)
    load_tokenizer(base).save_pretrained(output)
    del model, merged
    found = logits(load_model(output, params.precision).eval(), base, compared, chat)
    agreement = compare(expected, found)
    refuse_difference(agreement, output, params.precision)
    return {"compared_rows": len(compared)} | asdict(agreement)


def savable(published: "GenerationConfig") -> "GenerationConfig":
    """A model's generation config, or its special tokens alone if transformers would not save it.

    transformers reads settings that contradict each other, such as a temperature without do_sample,
    but refuses to write them:
    https://huggingface.co/docs/transformers/main_classes/text_generation
    """
    from tqdm import tqdm
    from transformers import GenerationConfig

    try:
        published.validate(strict=True)
    except ValueError:
        tqdm.write(
            gettext(
                "the base's generation_config.json contradicts itself; the merged weights keep its"
                " special tokens alone"
            ),
            file=sys.stderr,
        )
        names = ("bos_token_id", "eos_token_id", "pad_token_id")
        tokens = {name: getattr(published, name) for name in names}
        if tokens["pad_token_id"] is not None and tokens["pad_token_id"] < 0:
            tokens["pad_token_id"] = None
        return GenerationConfig(**tokens)
    return published


def logits(
    model: "PreTrainedModel", base: Path, rows: Sequence[Row], chat: ChatParams
) -> list["torch.Tensor"]:
    """For each row the logits of its last tokens, of shape (tokens, vocabulary)."""
    import torch
    from tqdm import tqdm

    tokenizer = load_tokenizer(base)
    found = []
    for row in tqdm(rows, desc="comparing merged weights", unit="row"):
        messages = prompt_messages(chat.system_prompt, row.prompt, row.history)
        prompt = chat_text(tokenizer, messages)
        ids = tokenizer(prompt + row.output, return_tensors="pt", add_special_tokens=False)
        with torch.inference_mode():
            answer = model(**ids.to(model.device), logits_to_keep=COMPARED_TOKENS)
        found.append(answer.logits[0].float().cpu())
    return found


def compare(expected: Sequence["torch.Tensor"], found: Sequence["torch.Tensor"]) -> Agreement:
    """How near two models' logits of the same rows are."""
    pairs = list(zip(expected, found, strict=True))
    difference = max(float((one - other).abs().max()) for one, other in pairs)
    largest = max(float(one.abs().max()) for one in expected)
    agreeing = sum(int((one.argmax(-1) == other.argmax(-1)).sum()) for one, other in pairs)
    return Agreement(
        largest_logit_difference=round(difference, 4),
        relative_logit_difference=round(difference / largest, 4),
        greedy_agreement=round(agreeing / sum(len(one) for one in expected), 4),
    )


def refuse_difference(agreement: Agreement, output: Path, precision: Precision) -> None:
    """Raise UserError if the merged weights do not write what base plus adapter write."""
    bound = TOLERANCE[precision]
    if agreement.relative_logit_difference > bound:
        raise UserError(
            "{output}: the merged weights differ from base plus adapter by {difference:.1%} of the"
            " largest score, {bound:.2%} being what {precision} explains; set"
            " merge_weights.precision to fp32, or train again",
            output=output,
            difference=agreement.relative_logit_difference,
            bound=bound,
            precision=precision,
        )
