"""Opening a folder of weights: safetensors only, nothing fetched, no remote code."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from wenmo.errors import UserError
from wenmo.model.chat import close_answers
from wenmo.model.folder import TOKENIZERS, WEIGHTS

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Precision = Literal["fp32", "bf16", "fp16"]
Quantization = Literal["none", "8bit", "4bit"]


def resolved(precision: Precision | Literal["auto"]) -> Precision:
    """`auto` made the best number format that this machine's hardware computes in."""
    if precision != "auto":
        return precision
    import torch

    if not torch.cuda.is_available():
        return "fp32"
    return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"


def load_model(folder: Path, precision: Precision) -> "PreTrainedModel":
    """The causal language model in `folder`, on the first GPU if there is one.

    Raises UserError if there is none.
    """
    import torch
    from transformers import AutoModelForCausalLM

    refuse_without_model(folder)
    choose_deterministic_algorithms()
    return AutoModelForCausalLM.from_pretrained(
        folder, dtype=_dtype(precision), local_files_only=True, use_safetensors=True
    ).to("cuda" if torch.cuda.is_available() else "cpu")


def choose_deterministic_algorithms() -> None:
    """Let torch compute by algorithms that give the same result every time, where it has them.

    For a few operations on GPUs it has none and warns:
    https://docs.pytorch.org/docs/stable/generated/torch.use_deterministic_algorithms.html
    """
    import torch

    torch.use_deterministic_algorithms(True, warn_only=True)
    # Filling what is about to be written over takes time and changes nothing here.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def refuse_without_model(folder: Path) -> None:
    """Raise UserError if a folder holds no weights as safetensors or no tokenizer."""
    if not folder.is_dir():
        missing = "no such folder"
    elif not any(folder.glob(WEIGHTS)):
        missing = f"no weights ({WEIGHTS}) in this folder"
    elif not any(path for pattern in TOKENIZERS for path in folder.glob(pattern)):
        missing = "no tokenizer in this folder"
    else:
        return
    raise UserError(f"{folder}: {missing}; `dvc repro` makes it, `dvc checkout` brings it back")


def load_trainable(
    folder: Path,
    precision: Precision,
    attn_implementation: str,
    quantization: Quantization,
    bnb_4bit_quant_type: str,
    bnb_4bit_use_double_quant: bool,
) -> "PreTrainedModel":
    """The base model for training, its weights in fewer bits where asked.

    Where it goes is left to the trainer, which may part it over devices; quantised weights cannot
    be moved and are read onto this process's device.
    """
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    choose_deterministic_algorithms()
    options = {
        "dtype": _dtype(precision),
        "attn_implementation": attn_implementation,
        "local_files_only": True,
        "use_safetensors": True,
    }
    if quantization == "none":
        return AutoModelForCausalLM.from_pretrained(folder, **options)

    from accelerate import PartialState
    from peft import prepare_model_for_kbit_training

    bits = BitsAndBytesConfig(
        load_in_4bit=quantization == "4bit",
        load_in_8bit=quantization == "8bit",
        bnb_4bit_quant_type=bnb_4bit_quant_type,
        bnb_4bit_use_double_quant=bnb_4bit_use_double_quant,
        bnb_4bit_compute_dtype=_dtype(precision),
    )
    model = AutoModelForCausalLM.from_pretrained(
        folder, quantization_config=bits, device_map={"": PartialState().device}, **options
    )
    for layer in model.modules():
        # On CPUs with AVX-512 BF16, bitsandbytes 0.50 repacks 4-bit weights when a held-out loss is
        # measured, for a kernel without gradients, and training then goes on without them.
        if hasattr(layer, "support_avx512bf16_for_cpu"):
            layer.support_avx512bf16_for_cpu = False
    # Activation checkpointing is turned on by the trainer.
    return prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)


def context_length(folder: Path) -> int:
    """The longest text that the model in `folder` can read (tokens)."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    return int(config.get_text_config().max_position_embeddings)


def end_tokens(folder: Path) -> frozenset[int]:
    """The tokens that end an answer, by generation_config.json or else config.json.

    Nothing else of the former is heeded: it has sampling settings, which would add to ours.
    """
    from transformers import AutoConfig, GenerationConfig

    named = GenerationConfig if (folder / "generation_config.json").is_file() else AutoConfig
    ids = named.from_pretrained(folder, local_files_only=True).eos_token_id
    return frozenset([ids] if isinstance(ids, int) else ids or [])


def load_tokenizer(folder: Path) -> "PreTrainedTokenizerBase":
    """The tokenizer beside the weights, padding on the left, as generation in batches needs.

    Its chat template closes every answer, also where the published one does not.
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, padding_side="left")
    close_answers(tokenizer)
    return tokenizer


def _dtype(precision: Precision) -> "torch.dtype":
    import torch

    return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
