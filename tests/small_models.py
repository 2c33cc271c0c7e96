"""Random weights: models of published architectures with a few layers, and an adapter."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.chat_families import FAMILIES, Family

TEMPLATES = Path(__file__).parent / "chat_templates"


@dataclass(frozen=True)
class Architecture:
    """What tells one model from another: its chat template, and the shape of its attention."""

    template: str
    heads: int
    key_value_heads: int
    tied_embeddings: bool
    model_type: str = "qwen2"
    settings: Mapping[str, Any] = field(default_factory=dict)
    vision: Mapping[str, Any] = field(default_factory=dict)
    """The configuration of the part that sees images, if the checkpoint has one."""


# As in each model's config.json: Qwen1.5-1.8B has a key for every head and an output layer of its
# own, Qwen2-1.5B and Qwen2.5-1.5B share one key among six heads and tie the output layer.
ARCHITECTURES = {
    "Qwen1.5-1.8B-Chat": Architecture("qwen1.5", 4, 4, False),
    "Qwen2-1.5B-Instruct": Architecture("qwen2", 6, 1, True),
    "Qwen2.5-1.5B-Instruct": Architecture("qwen2.5", 6, 1, True),
    # Qwen3 has heads of a size of their own; 8B has an output layer of its own.
    "Qwen3-1.7B": Architecture("qwen3", 4, 2, True, "qwen3", {"head_dim": 16}),
    "Qwen3-4B": Architecture("qwen3", 4, 1, True, "qwen3", {"head_dim": 32}),
    "Qwen3-8B": Architecture("qwen3", 4, 1, False, "qwen3", {"head_dim": 16}),
    # Three layers of linear attention for one of the usual kind, and a vision tower.
    "Qwen3.5-4B": Architecture(
        "qwen3.5",
        4,
        1,
        True,
        "qwen3_5",
        {
            "head_dim": 16,
            "layer_types": ["linear_attention", "full_attention"],
            "linear_num_key_heads": 2,
            "linear_num_value_heads": 4,
            "linear_key_head_dim": 16,
            "linear_value_head_dim": 16,
        },
        {"depth": 1, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2}
        | {"out_hidden_size": 64, "num_position_embeddings": 16},
    ),
    "GLM-4-9B-0414": Architecture("glm4", 4, 1, False, "glm4", {"head_dim": 16}),
    # Multi-head latent attention: queries, keys and values pass through narrow projections.
    "MiniCPM3-4B": Architecture(
        "minicpm",
        4,
        4,
        False,
        "minicpm3",
        {"q_lora_rank": 32, "kv_lora_rank": 32, "v_head_dim": 16}
        | {"qk_nope_head_dim": 8, "qk_rope_head_dim": 8},
    ),
}


def random_weight_model(folder: Path, name: str, tokenizer_folder: Path) -> Path:
    """Save a model of the named architecture into `folder`, with the tokenizer of another folder.

    For base_model.source: path. The chat template is the named model's own.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig
    from transformers import AutoModelForImageTextToText as WithVision

    architecture = ARCHITECTURES[name]
    family = FAMILIES[architecture.template]
    tokenizer = family_tokenizer(folder, family, tokenizer_folder)
    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": 16 * architecture.heads,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": architecture.heads,
        "num_key_value_heads": architecture.key_value_heads,
        "max_position_embeddings": 4096,
        "tie_word_embeddings": architecture.tied_embeddings,
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        **architecture.settings,
    }
    torch.manual_seed(1)
    if architecture.vision:
        both = {"text_config": text, "vision_config": dict(architecture.vision)}
        config = AutoConfig.for_model(
            architecture.model_type, **both, tie_word_embeddings=architecture.tied_embeddings
        )
        model = WithVision.from_config(config)
    else:
        config = AutoConfig.for_model(architecture.model_type, **text)
        model = AutoModelForCausalLM.from_config(config)
    model.generation_config = GenerationConfig(
        eos_token_id=tokenizer.convert_tokens_to_ids(list(family.generation_eos_tokens)),
        pad_token_id=tokenizer.pad_token_id,
    )
    model.save_pretrained(folder)
    return folder


def family_tokenizer(folder: Path, family: Family, tokenizer_folder: Path):
    """Copy a tokenizer into `folder` and give it the tokens and the template of a family."""
    from tokenizers import AddedToken

    tokenizer = with_template(folder, family.template, tokenizer_folder)
    tokenizer.add_tokens([AddedToken(each, special=True) for each in family.special_tokens])
    tokenizer.add_tokens([AddedToken(each, special=False) for each in family.plain_tokens])
    tokenizer.eos_token, tokenizer.bos_token = family.eos_token, family.bos_token
    tokenizer.save_pretrained(folder)
    return tokenizer


def with_template(folder: Path, template: str, tokenizer_folder: Path):
    """Copy a tokenizer into `folder`, give it the chat template of that name, and open it."""
    from transformers import AutoTokenizer

    folder.mkdir(parents=True, exist_ok=True)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy2(tokenizer_folder / name, folder)
    shutil.copy2(TEMPLATES / f"{template}.jinja", folder / "chat_template.jinja")
    return AutoTokenizer.from_pretrained(folder, local_files_only=True)


def family_model(folder: Path, family: Family, tiny_model: Path) -> Path:
    """The tiny model as one of a published family: its tokens, its ends and its chat template.

    For base_model.source: path. What a folder says of ends is what the family's published one says.
    """
    from transformers import GenerationConfig

    from wenmo.model.loading import load_model

    tokenizer = family_tokenizer(folder, family, tiny_model)
    ends = tokenizer.convert_tokens_to_ids(list(family.generation_eos_tokens))
    model = load_model(tiny_model, "fp32")
    model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    model.config.eos_token_id = tokenizer.eos_token_id
    model.generation_config = GenerationConfig(
        eos_token_id=ends, pad_token_id=tokenizer.pad_token_id
    )
    model.save_pretrained(folder)
    return folder


def random_adapter(base: Path, folder: Path, rank: int = 4) -> Path:
    """Save a LoRA adapter with random weights, large enough to change what the base writes."""
    import torch
    from peft import LoraConfig, get_peft_model

    from wenmo.model.loading import load_model

    torch.manual_seed(rank)
    config = LoraConfig(
        r=rank,
        lora_alpha=16 * rank,
        target_modules="all-linear",
        init_lora_weights=False,
        task_type="CAUSAL_LM",
    )
    get_peft_model(load_model(base, "fp32"), config).save_pretrained(folder)
    return folder
