"""Models of published shapes with random weights: as fast as trained ones, and no download."""

from pathlib import Path
from typing import Any

from bench.stage_run import ROOT

from wenmo.config.params_file import Precision
from wenmo.model.loading import torch_dtype
from wenmo.model.tiny import read_pieces, train_tokenizer

CONTEXT, VOCABULARY = 4096, 5000
REHEARSAL = "rehearsal"
"""A tiny shape, for trying on a CPU what runs on a GPU."""

KEYS = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "tie_word_embeddings",
)
SHAPES = {
    # https://huggingface.co/Qwen/Qwen2.5-1.5B-Instruct/blob/main/config.json
    "qwen2.5-1.5b": (151936, 1536, 8960, 28, 12, 2, True),
    # https://huggingface.co/Qwen/Qwen2.5-7B-Instruct/blob/main/config.json
    "qwen2.5-7b": (152064, 3584, 18944, 28, 28, 4, False),
    # vLLM on a CPU takes no heads of less than 32.
    REHEARSAL: (6000, 64, 128, 2, 2, 1, True),
}
PUBLISHED = ("qwen2.5-1.5b", "qwen2.5-7b")


def write_model(folder: Path, shape: str) -> None:
    """Write a Qwen2 of a shape with random bfloat16 weights, as `write_random` does."""
    sizes = dict(zip(KEYS, SHAPES[shape], strict=True))
    write_random(folder, "qwen2", sizes, "bf16", VOCABULARY)


def write_random(
    folder: Path, model_type: str, sizes: dict[str, Any], precision: Precision, vocabulary: int
) -> None:
    """Write a model with random weights, and a tokenizer trained on the sample texts.

    The model has as many tokens as `sizes` says, of which the tokenizer has `vocabulary` at most.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig

    texts = ROOT / "data/sample/general"
    pieces = read_pieces(texts / "prose.txt") + read_pieces(texts / "verse.txt")
    tokenizer = train_tokenizer(pieces, vocabulary, CONTEXT)
    ends = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    config = AutoConfig.for_model(
        model_type, **sizes, **ends, bos_token_id=None, max_position_embeddings=CONTEXT
    )
    torch.manual_seed(0)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        model = AutoModelForCausalLM.from_config(config, dtype=torch_dtype(precision))
    model.generation_config = GenerationConfig(**ends)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
