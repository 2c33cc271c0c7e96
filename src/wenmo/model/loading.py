"""Opening a folder of weights: safetensors only, nothing fetched, no remote code."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Precision = Literal["fp32", "bf16", "fp16"]


def load_model(folder: Path, precision: Precision) -> "PreTrainedModel":
    """The causal language model in `folder`, on the first GPU if there is one."""
    import torch
    from transformers import AutoModelForCausalLM

    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    return AutoModelForCausalLM.from_pretrained(
        folder, dtype=dtype, local_files_only=True, use_safetensors=True
    ).to("cuda" if torch.cuda.is_available() else "cpu")


def load_tokenizer(folder: Path) -> "PreTrainedTokenizerBase":
    """The tokenizer beside the weights, padding on the left, as generation in batches needs."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder, local_files_only=True, padding_side="left")
