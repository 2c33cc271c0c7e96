"""Random weights: models of published architectures with a few layers, and an adapter."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.chat_families import Family

TEMPLATES = Path(__file__).parent / "chat_templates"


@dataclass(frozen=True)
class Architecture:
    """What tells one Qwen from another: its chat template, and the shape of its attention."""

    template: str
    heads: int
    key_value_heads: int
    tied_embeddings: bool


# As in each model's config.json: Qwen1.5-1.8B has a key for every head and an output layer of its
# own, Qwen2-1.5B and Qwen2.5-1.5B share one key among six heads and tie the output layer.
ARCHITECTURES = {
    "Qwen1.5-1.8B-Chat": Architecture("qwen1.5", 4, 4, False),
    "Qwen2-1.5B-Instruct": Architecture("qwen2", 6, 1, True),
    "Qwen2.5-1.5B-Instruct": Architecture("qwen2.5", 6, 1, True),
}


def random_weight_model(folder: Path, name: str, tokenizer_folder: Path) -> Path:
    """Save a model of the named architecture into `folder`, with the tokenizer of another folder.

    For base_model.source: path. The chat template is the named model's own.
    """
    import torch
    from transformers import GenerationConfig, Qwen2Config, Qwen2ForCausalLM

    architecture = ARCHITECTURES[name]
    tokenizer = with_template(folder, architecture.template, tokenizer_folder)
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=16 * architecture.heads,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=architecture.heads,
        num_key_value_heads=architecture.key_value_heads,
        max_position_embeddings=4096,
        tie_word_embeddings=architecture.tied_embeddings,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(1)
    model = Qwen2ForCausalLM(config)
    model.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    model.save_pretrained(folder)
    return folder


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
    from tokenizers import AddedToken
    from transformers import GenerationConfig

    from wenmo.model.loading import load_model

    tokenizer = with_template(folder, family.template, tiny_model)
    tokenizer.add_tokens([AddedToken(each, special=True) for each in family.special_tokens])
    tokenizer.add_tokens([AddedToken(each, special=False) for each in family.plain_tokens])
    tokenizer.eos_token, tokenizer.bos_token = family.eos_token, family.bos_token
    tokenizer.save_pretrained(folder)
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
