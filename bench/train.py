"""train beside the novel baseline and TRL's default command line: speed, memory, utilisation.

All train the same rows once with the same adapter. The baseline has padded batches of 4, 4 batches
per step and activation checkpointing; TRL's command line has its own defaults; wenmo packs its rows
and checkpoints nothing. Tokens are the rows', without padding. Utilisation is the model's FLOP/s
(4 per weight and token, 6 for the adapter's; nothing for recomputed activations) over the FLOP/s of
a large matrix product on the machine's own code path.
"""

import json
import re
import shutil
import sys
from functools import partial
from pathlib import Path
from typing import Any

from bench.corpus import passages
from bench.rounds import Measurement, contender_table, in_turn, quantity, rate, ratio, table
from bench.stage_run import ROOT, built_model, run, run_module, run_script, write_params

from wenmo.config import params_file
from wenmo.core.records import Row, row_id, write_json_lines, write_records
from wenmo.core.stage import PINNED_ENVIRONMENT
from wenmo.model.loading import load_tokenizer

ROWS = 32
LONGEST, LENGTH = 800, 1024
"""The longest row (characters), and the longest sequence (tokens)."""
ROUNDS = 3
SETTINGS = {
    "max_steps": -1,
    "num_train_epochs": 1.0,
    "max_length": LENGTH,
    "precision": "auto",
    "eval_strategy": "epoch",
    "save_strategy": "epoch",
    # A packed sequence holds several rows. The sequences of a batch are laid end to end, and sdpa
    # computes the whole square of them, so more than one per batch costs more than it saves.
    "per_device_train_batch_size": 1,
    "gradient_accumulation_steps": 4,
    "gradient_checkpointing": False,
    "packing": True,
    "optim": "adamw_torch_fused",
    "learning_rate": 1e-4,
    "lora": {"r": 8, "lora_alpha": 32.0, "lora_dropout": 0.1},
}
BASELINE = "the baseline: 4 padded rows, checkpointing"
TRL = "TRL's command line, its defaults"
OURS = "wenmo: packed, no checkpointing"
UNPINNED = "the same, on the machine's own code path"
CODE_PATHS = {
    "the machine's own code path": {},
    "the same, one thread": {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
    "the code path that stages pin": PINNED_ENVIRONMENT,
}
"""The environments in which matrix products are measured."""


def measure(folder: Path, scale: float) -> dict[str, Any]:
    """All contenders in turn."""
    base = built_model("base")
    rows = drawn_rows(max(8, round(ROWS * scale)), LONGEST)
    texts = [prompt_and_completion(row) for row in rows]
    write_json_lines(folder / "rows/train.jsonl", texts)
    all_texts = [text for row in texts for text in row.values()]
    ids = load_tokenizer(base)(all_texts, add_special_tokens=False)["input_ids"]
    tokens: Measurement = {"tokens": sum(map(len, ids))}
    texts_file = folder / "rows/train.jsonl"
    padded = ("bench.peers.training", base, texts_file, folder / "baseline", f"{LENGTH}")
    contenders = {
        BASELINE: lambda: tokens | run_module(folder, *padded),
        TRL: lambda: tokens | trl_command_line(folder, base, LENGTH),
        OURS: lambda: our_stage(folder, base, rows, SETTINGS),
        UNPINNED: lambda: our_stage(folder, base, rows, SETTINGS, pinned=False),
    }
    products = {
        name: partial(run_module, folder, "bench.matrix_products", environment=path)
        for name, path in CODE_PATHS.items()
    }
    return {
        "runs": in_turn(contenders, ROUNDS, "train"),
        "ceilings": in_turn(products, ROUNDS, "matrix products"),
    }


def drawn_rows(count: int, longest: int) -> list[Row]:
    """Rows of a quarter of the longest to the longest (characters), all lengths equally likely."""
    rows = []
    for position, text in enumerate(passages(count, longest)):
        text = text[: longest // 4 + position * 7919 % (longest - longest // 4)]
        rows.append(Row(row_id("bench", text), "bench", position, "", "接着写", text))
    return rows


def prompt_and_completion(row: Row) -> dict[str, str]:
    """A row as TRL's command line takes it, in the baseline's template."""
    prompt = f"<|im_start|>user\n{row.prompt}<|im_end|>\n<|im_start|>assistant\n"
    return {"prompt": prompt, "completion": f"{row.output}<|im_end|>\n"}


def trl_command_line(folder: Path, base: Path, length: int) -> Measurement:
    """`trl sft` with the same adapter and defaults for the rest; its own tokens have padding."""
    import torch

    adapter = ["--lora_r", "8", "--lora_alpha", "32", "--lora_dropout", "0.1"]
    modules = params_file.read(ROOT / "params.yaml")["train"]["lora"]["target_modules"]
    adapter += ["--lora_target_modules", *modules]
    on_cpu = [] if torch.cuda.is_available() else ["--use_cpu", "--bf16", "False"]
    files = ["--dataset_name", folder / "rows", "--output_dir", folder / "trl"]
    once = ["--num_train_epochs", "1", "--report_to", "none", "--save_strategy", "no", *on_cpu]
    once += ["--max_length", f"{length}"]
    trl = [sys.executable, "-m", "trl.cli.main", "sft", "--model_name_or_path", base]
    printed = run(folder, [*trl, *files, *once, "--use_peft", *adapter])
    (*_, seconds) = re.findall(r"'train_runtime': '?([\d.]+)", printed)
    return {"seconds": float(seconds)}


def our_stage(
    folder: Path, base: Path, rows: list[Row], settings: dict[str, Any], pinned: bool = True
) -> Measurement:
    """The stage train. Its seconds contain the loss of two held-out rows, twice."""
    within = folder / "wenmo"
    shutil.rmtree(within, ignore_errors=True)
    write_params(within, {"train": settings})
    (within / "models").mkdir()
    (within / "models/base").symlink_to(base.resolve())
    write_records(within / "data/merged/novel/train.jsonl", rows)
    write_records(within / "data/merged/novel/eval.jsonl", rows[:2])
    log = run_script(within, "train", "novel", pinned=pinned)
    ledger = json.loads((within / "metrics/train/novel.json").read_text(encoding="utf-8"))
    return {
        "seconds": log["train_seconds"],
        "tokens": log["tokens_per_second"] * log["train_seconds"],
        "peak_mebibytes": log["peak_device_mebibytes"],
        "flops_per_token": log["model_flops_per_second"] / log["tokens_per_second"],
        "ceiling": log["matrix_product_flops_per_second"],
        "idle": log["device_idle"] or 0.0,
        "eval_loss": ledger["eval_loss"],
    }


def tables(result: dict[str, Any]) -> list[str]:
    """Speed, utilisation and memory, and the FLOP/s of large matrix products."""
    runs, flops = result["runs"], flops_by_path(result)
    highest = max(flops.values())
    # The FLOPs of a token are the model's, whichever contender trains it.
    of_token = runs[OURS][0]["flops_per_token"]

    def memory(own: list[Measurement]) -> str:
        known = "peak_mebibytes" in own[0]
        return f"{quantity(own, 'peak_mebibytes').high:,.0f}" if known else ""

    columns = {
        "tokens per second": lambda own: rate(own, "tokens").shown(0),
        "times the baseline": lambda own: ratio(own, runs[BASELINE], "tokens").shown(2),
        "utilisation": lambda own: f"{rate(own, 'tokens').median * of_token / highest:.1%}",
        "memory (MiB)": memory,
    }
    products = [[name, f"{each / 1e9:,.0f}"] for name, each in flops.items()]
    return [contender_table(runs, columns), table(["matrix products on", "GFLOP/s"], products)]


def flops_by_path(result: dict[str, Any]) -> dict[str, float]:
    """The median FLOP/s of large matrix products on each code path."""
    return {name: quantity(own, "flops").median for name, own in result["ceilings"].items()}
