"""train beside the novel baseline's way and TRL's default command line: speed, memory, utilisation.

All train the same rows once with the same adapter. The baseline has padded batches of 4, 4 batches
a step and activation checkpointing; TRL's command line has its own defaults; wenmo packs its rows
and checkpoints nothing. Tokens are those of the rows, without padding. Utilisation is the model's
floating-point operations (4 a weight and token, 6 for the adapter's; nothing for recomputed
activations) over what a large matrix product reaches on the machine's own code path.
"""

import json
import re
import shutil
import sys
from functools import partial
from pathlib import Path
from typing import Any

from bench import ceiling
from bench.corpus import passages
from bench.markdown import Table
from bench.random_weights import write_model
from bench.rounds import Measurement, in_turn, rates, spread, times_faster
from bench.stage_run import ROOT, built_model, run, run_python, run_stage, write_params

from wenmo.config import params_file
from wenmo.core.records import Row, row_id, write_json_lines, write_records
from wenmo.core.stage import PINNED_ENVIRONMENT
from wenmo.model.loading import load_tokenizer

ROWS = {"cpu": 32, "gpu": 128}
LONGEST = 800
ROUNDS = 3
SETTINGS = {
    "max_steps": -1,
    "num_train_epochs": 1.0,
    "max_length": 1024,
    "precision": "auto",
    "eval_strategy": "epoch",
    "save_strategy": "epoch",
    # A packed sequence holds several rows. The sequences of a pass are laid end to end, and sdpa
    # computes the whole square of them, so more than one a pass costs more than it saves.
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


def measure(folder: Path, scale: float, architecture: str = "") -> dict[str, Any]:
    """All contenders in turn; with an architecture, on random weights of its shape on a GPU."""
    base = folder / "random" if architecture else built_model("base")
    if architecture:
        write_model(base, architecture)
    rows = rows_of_many_lengths(max(8, round(ROWS["gpu" if architecture else "cpu"] * scale)))
    texts = [prompt_and_completion(row) for row in rows]
    write_json_lines(folder / "rows/train.jsonl", texts)
    tokens: Measurement = {"tokens": tokens_of(base, texts)}
    contenders = {
        BASELINE: lambda: tokens | padded_batches(folder, base),
        TRL: lambda: tokens | trl_command_line(folder, base),
        OURS: lambda: wenmo(folder, base, rows),
    }
    paths: dict[str, dict[str, str]] = {"this GPU, bfloat16": {}}
    if not architecture:
        contenders[UNPINNED] = lambda: wenmo(folder, base, rows, pinned=False)
        paths = ceiling.PATHS | {"the code path that stages pin": PINNED_ENVIRONMENT}
    ceilings = {name: partial(ceiling.measure, path) for name, path in paths.items()}
    return {
        "runs": in_turn(contenders, ROUNDS, "train"),
        "ceilings": in_turn(ceilings, ROUNDS, "matrix products"),
    }


def rows_of_many_lengths(count: int) -> list[Row]:
    """Rows with texts of a quarter of the longest to the longest, each as often."""
    rows = []
    for position, text in enumerate(passages(count, LONGEST)):
        text = text[: LONGEST // 4 + position * 7919 % (LONGEST - LONGEST // 4)]
        rows.append(Row(row_id("bench", text), "bench", position, "", "接着写", text))
    return rows


def prompt_and_completion(row: Row) -> dict[str, str]:
    """A row as TRL's command line takes it, in the words of the baseline."""
    prompt = f"<|im_start|>user\n{row.prompt}<|im_end|>\n<|im_start|>assistant\n"
    return {"prompt": prompt, "completion": f"{row.output}<|im_end|>\n"}


def tokens_of(base: Path, rows: list[dict[str, str]]) -> int:
    """How many tokens prompts and completions have for a model."""
    texts = [text for row in rows for text in row.values()]
    return sum(map(len, load_tokenizer(base)(texts, add_special_tokens=False)["input_ids"]))


def padded_batches(folder: Path, base: Path) -> Measurement:
    """The baseline; it prints what it took."""
    arguments = ["bench.peers.training", base, folder / "rows/train.jsonl", folder / "baseline"]
    stdout = run_python(folder, "-m", *arguments)["stdout"]
    cost: Measurement = json.loads(stdout.splitlines()[-1])
    return cost


def trl_command_line(folder: Path, base: Path) -> Measurement:
    """`trl sft` with the same adapter and all else as it comes; its own tokens have padding."""
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


def wenmo(folder: Path, base: Path, rows: list[Row], pinned: bool = True) -> Measurement:
    """The stage train; its seconds have two held-out rows' loss in them, twice."""
    within = folder / "wenmo"
    shutil.rmtree(within, ignore_errors=True)
    write_params(within, {"train": SETTINGS})
    (within / "models").mkdir()
    (within / "models/base").symlink_to(base.resolve())
    write_records(within / "data/merged/novel/train.jsonl", rows)
    write_records(within / "data/merged/novel/eval.jsonl", rows[:2])
    log = run_stage(within, "train", "novel", pinned=pinned)["log"]
    return {
        "seconds": log["train_seconds"],
        "tokens": log["tokens_per_second"] * log["train_seconds"],
        "peak_mebibytes": log["peak_device_mebibytes"],
        "flops_per_token": log["model_flops_per_second"] / log["tokens_per_second"],
    }


def tables(result: dict[str, Any]) -> list[Table]:
    """Speed, utilisation and memory, and what large matrix products reach."""
    runs, ceilings = result["runs"], result["ceilings"]
    flops = {name: spread([run["flops"] for run in of_one]) for name, of_one in ceilings.items()}
    highest = max(each.median for each in flops.values())
    # What a token takes is the model's affair and not the contender's.
    of_a_token = runs[OURS][0]["flops_per_token"]
    speed = []
    for name, of_one in runs.items():
        found = spread(rates(of_one, "tokens"))
        memory = max(run.get("peak_mebibytes", 0) for run in of_one)
        speed.append(
            [
                name,
                found.shown(0),
                times_faster(of_one, runs[BASELINE], "tokens").shown(2),
                f"{found.median * of_a_token / highest:.1%}",
                f"{memory:,.0f}" if memory else "",
            ]
        )
    products = [[name, f"{each.median / 1e9:,.0f}"] for name, each in flops.items()]
    return [
        (["", "tokens a second", "times the baseline", "utilisation", "memory (MiB)"], speed),
        (["matrix products on", "thousand million operations a second"], products),
    ]
