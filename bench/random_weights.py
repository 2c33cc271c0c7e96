"""Models of published shapes with random weights, for timing what no download is at hand for."""

from pathlib import Path
from typing import Any

from wenmo.model.tiny import read_pieces, train_tokenizer

ROOT = Path(__file__).parents[1]
CONTEXT, VOCABULARY = 4096, 5000

SHAPES: dict[str, dict[str, Any]] = {
    # https://huggingface.co/Qwen/Qwen2.5-1.5B-Instruct/blob/main/config.json
    "qwen2.5-1.5b": {
        "vocab_size": 151936,
        "hidden_size": 1536,
        "intermediate_size": 8960,
        "num_hidden_layers": 28,
        "num_attention_heads": 12,
        "num_key_value_heads": 2,
        "tie_word_embeddings": True,
    },
    # https://huggingface.co/Qwen/Qwen2.5-7B-Instruct/blob/main/config.json
    "qwen2.5-7b": {
        "vocab_size": 152064,
        "hidden_size": 3584,
        "intermediate_size": 18944,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "tie_word_embeddings": False,
    },
}
REHEARSAL = "rehearsal"
"""No published shape: to try what runs on a GPU where there is none."""

TINY = {
    "vocab_size": 6000,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "tie_word_embeddings": True,
}


def write_model(folder: Path, shape: str) -> None:
    """A Qwen2 with random bfloat16 weights, and a tokenizer learnt from the sample texts."""
    import torch
    from transformers import GenerationConfig, Qwen2Config, Qwen2ForCausalLM

    text = ROOT / "data/sample/general"
    pieces = read_pieces(text / "prose.txt") + read_pieces(text / "verse.txt")
    tokenizer = train_tokenizer(pieces, VOCABULARY, CONTEXT)
    ends = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    config = Qwen2Config(
        **SHAPES.get(shape, TINY), **ends, bos_token_id=None, max_position_embeddings=CONTEXT
    )
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with torch.device(device):
        model = Qwen2ForCausalLM(config).to(torch.bfloat16)
    model.generation_config = GenerationConfig(**ends)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
