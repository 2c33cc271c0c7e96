"""Training beside the novel baseline and TRL's defaults, and with each option alone.

All train the same rows once with the same adapter, as on a CPU (bench.train), but with rows of up
to 4,096 tokens. A new process per contender; its first steps, which load and tune kernels, count.
"""

import json
from pathlib import Path
from typing import Any

from bench.gpu import turns
from bench.random_weights import CONTEXT, REHEARSAL, write_model
from bench.rounds import Measurement, quantity, rate
from bench.stage_run import run_module
from bench.train import (
    BASELINE,
    OURS,
    SETTINGS,
    TRL,
    drawn_rows,
    our_stage,
    prompt_and_completion,
    trl_command_line,
)

from wenmo.config.params_file import deep_merge
from wenmo.core.records import write_json_lines
from wenmo.model.loading import load_tokenizer

ROWS, LONGEST = 192, 3200
"""Rows, and the characters of the longest, which are fewer than 4,096 tokens."""

OPTIONS: list[dict[str, Any]] = [
    {"attn_implementation": "kernels-community/flash-attn2"},
    {"attn_implementation": "kernels-community/flash-attn3"},
    {"attn_implementation": "eager"},
    {"use_kernels": True},
    {"torch_compile": True},
    {"optim": "adamw_8bit"},
    {"optim": "paged_adamw_8bit"},
    {"optim": "adamw_torch"},
    {"gradient_checkpointing": True},
    {"activation_offloading": True},
    {"packing": False, "per_device_train_batch_size": 4, "gradient_accumulation_steps": 1},
    {"quantization": "4bit"},
    {"lora.use_dora": True},
    {"lora.loraplus_lr_ratio": 16},
    {"lora.init_lora_weights": "pissa"},
    {"lora.init_lora_weights": "eva"},
    {"neftune_noise_alpha": 5},
]
"""What differs from wenmo's settings otherwise, as `dvc exp run -S train.…` would set it."""


def contenders(folder: Path, architecture: str) -> dict[str, Any]:
    """The baseline, TRL's defaults, wenmo, and wenmo with each of OPTIONS."""
    base, texts = folder / "random", folder / "rows/train.jsonl"
    write_model(base, architecture)
    rows = drawn_rows(*((16, 400) if architecture == REHEARSAL else (ROWS, LONGEST)))
    write_json_lines(texts, prompts := [prompt_and_completion(row) for row in rows])
    all_texts = [text for row in prompts for text in row.values()]
    ids = load_tokenizer(base)(all_texts, add_special_tokens=False)["input_ids"]
    tokens: Measurement = {"tokens": sum(map(len, ids))}
    padded = ("bench.peers.training", base, texts, folder / "baseline", str(CONTEXT))
    settings = SETTINGS | {"max_length": CONTEXT}
    own = {f"wenmo, {in_words(option)}": deep_merge(settings, nested(option)) for option in OPTIONS}
    return {
        BASELINE: lambda: tokens | run_module(folder, *padded),
        TRL: lambda: tokens | trl_command_line(folder, base, CONTEXT),
    } | {
        name: lambda of_it=of_it: our_stage(folder, base, rows, of_it)
        for name, of_it in ({OURS: settings} | own).items()
    }


def in_words(option: dict[str, Any]) -> str:
    """An option as the arguments of -S would have it."""
    return ", ".join(f"{key}={json.dumps(value)}".replace('"', "") for key, value in option.items())


def nested(option: dict[str, Any]) -> dict[str, Any]:
    """An option as section `train` has it: lora.r within lora."""
    found: dict[str, Any] = {}
    for key, value in option.items():
        section, _, name = key.rpartition(".")
        found |= {section: {name: value}} if section else {name: value}
    return found


def tables(result: dict[str, Any]) -> list[str]:
    """Speed, utilisation and memory, once per contender, and what was not measured."""
    runs = result["runs"]

    def beside_baseline(own: list[Measurement]) -> str:
        theirs = runs.get(BASELINE)
        return f"{rate(own, 'tokens').median / rate(theirs, 'tokens').median:.2f}" if theirs else ""

    def utilisation(own: list[Measurement]) -> str:
        # The FLOPs of a token are the model's, whichever contender trains it.
        ours = runs.get(OURS, own)[0]
        if "ceiling" not in ours:
            return ""
        return f"{rate(own, 'tokens').median * ours['flops_per_token'] / ours['ceiling']:.1%}"

    def known(own: list[Measurement], name: str, shown: str) -> str:
        return format(quantity(own, name).median, shown) if name in own[0] else ""

    return turns.tables(
        result,
        {
            "tokens per second": lambda own: rate(own, "tokens").shown(0),
            "times the baseline": beside_baseline,
            "utilisation": utilisation,
            "GPU idle": lambda own: known(own, "idle", ".1%"),
            "memory (MiB)": lambda own: known(own, "peak_mebibytes", ",.0f"),
        },
    )
