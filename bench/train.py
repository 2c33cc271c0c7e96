"""train beside the novel baseline and TRL's default command line: speed, memory, utilisation.

All train the same rows once with the same adapter. The baseline has padded batches of 4, 4 batches
per step and activation checkpointing; TRL's command line has its own defaults; wenmo packs its rows
and checkpoints nothing. Tokens are the rows', without padding. Utilisation is the model's FLOP/s
(4 per weight and token, 6 for the adapter's; nothing for recomputed activations) over the FLOP/s of
a large matrix product on the machine's own code path.
"""

import re
import shutil
import sys
from functools import partial
from pathlib import Path
from typing import Any

from bench.corpus import passages
from bench.random_weights import write_model
from bench.rounds import Measurement, contender_table, in_turn, quantity, rate, ratio, table
from bench.stage_run import ROOT, built_model, run, run_module, run_script, write_params

from wenmo.config import params_file
from wenmo.core.records import Row, row_id, write_json_lines, write_records
from wenmo.core.stage import PINNED_ENVIRONMENT
from wenmo.model.loading import load_tokenizer

ROWS, ROWS_ON_GPU = 32, 128
LONGEST = 800
ROUNDS = 3
SETTINGS = {
    "max_steps": -1,
    "num_train_epochs": 1.0,
    "max_length": 1024,
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


def measure(folder: Path, scale: float, architecture: str = "") -> dict[str, Any]:
    """All contenders in turn; with an architecture, on random weights of its shape on a GPU."""
    base = folder / "random" if architecture else built_model("base")
    if architecture:
        write_model(base, architecture)
    rows = drawn_rows(max(8, round((ROWS_ON_GPU if architecture else ROWS) * scale)))
    texts = [prompt_and_completion(row) for row in rows]
    write_json_lines(folder / "rows/train.jsonl", texts)
    all_texts = [text for row in texts for text in row.values()]
    ids = load_tokenizer(base)(all_texts, add_special_tokens=False)["input_ids"]
    tokens: Measurement = {"tokens": sum(map(len, ids))}
    padded = ("bench.peers.training", base, folder / "rows/train.jsonl", folder / "baseline")
    contenders = {
        BASELINE: lambda: tokens | run_module(folder, *padded),
        TRL: lambda: tokens | trl_command_line(folder, base),
        OURS: lambda: our_stage(folder, base, rows),
    }
    if not architecture:
        contenders[UNPINNED] = lambda: our_stage(folder, base, rows, pinned=False)
    paths = {"this GPU, bfloat16": {}} if architecture else CODE_PATHS
    products = {
        name: partial(run_module, folder, "bench.matrix_products", environment=path)
        for name, path in paths.items()
    }
    return {
        "runs": in_turn(contenders, ROUNDS, "train"),
        "ceilings": in_turn(products, ROUNDS, "matrix products"),
    }


def drawn_rows(count: int) -> list[Row]:
    """Rows of 200 to 800 characters, all lengths equally likely."""
    rows = []
    for position, text in enumerate(passages(count, LONGEST)):
        text = text[: LONGEST // 4 + position * 7919 % (LONGEST - LONGEST // 4)]
        rows.append(Row(row_id("bench", text), "bench", position, "", "接着写", text))
    return rows


def prompt_and_completion(row: Row) -> dict[str, str]:
    """A row as TRL's command line takes it, in the baseline's template."""
    prompt = f"<|im_start|>user\n{row.prompt}<|im_end|>\n<|im_start|>assistant\n"
    return {"prompt": prompt, "completion": f"{row.output}<|im_end|>\n"}


def trl_command_line(folder: Path, base: Path) -> Measurement:
    """`trl sft` with the same adapter and defaults for the rest; its own tokens have padding."""
    import torch

    adapter = ["--lora_r", "8", "--lora_alpha", "32", "--lora_dropout", "0.1"]
    modules = params_file.read(ROOT / "params.yaml")["train"]["lora"]["target_modules"]
    adapter += ["--lora_target_modules", *modules]
    on_cpu = [] if torch.cuda.is_available() else ["--use_cpu", "--bf16", "False"]
    files = ["--dataset_name", folder / "rows", "--output_dir", folder / "trl"]
    once = ["--num_train_epochs", "1", "--report_to", "none", "--save_strategy", "no", *on_cpu]
    trl = [Path(sys.executable).with_name("trl"), "sft", "--model_name_or_path", base]
    printed = run(folder, [*trl, *files, *once, "--use_peft", *adapter])
    (*_, seconds) = re.findall(r"'train_runtime': '?([\d.]+)", printed)
    return {"seconds": float(seconds)}


def our_stage(folder: Path, base: Path, rows: list[Row], pinned: bool = True) -> Measurement:
    """The stage train. Its seconds contain the loss of two held-out rows, twice."""
    within = folder / "wenmo"
    shutil.rmtree(within, ignore_errors=True)
    write_params(within, {"train": SETTINGS})
    (within / "models").mkdir()
    (within / "models/base").symlink_to(base.resolve())
    write_records(within / "data/merged/novel/train.jsonl", rows)
    write_records(within / "data/merged/novel/eval.jsonl", rows[:2])
    log = run_script(within, "train", "novel", pinned=pinned)
    return {
        "seconds": log["train_seconds"],
        "tokens": log["tokens_per_second"] * log["train_seconds"],
        "peak_mebibytes": log["peak_device_mebibytes"],
        "flops_per_token": log["model_flops_per_second"] / log["tokens_per_second"],
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
