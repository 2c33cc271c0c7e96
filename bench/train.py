"""train with the novel baseline's settings and with the best ones: speed, utilisation, memory.

python -m bench.train                               # the base model in models/base
python -m bench.train --architecture qwen2.5-1.5b   # random weights of that shape, for one GPU
"""

import json
import os
import statistics
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ruamel.yaml import YAML

from wenmo.records import Row, read_records, row_id, write_records

ROOT = Path(__file__).parents[1]
RUNS = 3
ROWS = {"cpu": 96, "gpu": 1024}
SHAPES: dict[str, dict[str, Any]] = {
    "qwen2.5-1.5b": {
        "vocab_size": 151936,
        "hidden_size": 1536,
        "intermediate_size": 8960,
        "num_hidden_layers": 28,
        "num_attention_heads": 12,
        "num_key_value_heads": 2,
        "tie_word_embeddings": True,
    }
}
BASELINE = {
    "per_device_train_batch_size": 4,
    "gradient_accumulation_steps": 4,
    "gradient_checkpointing": True,
    "packing": False,
    "optim": "adamw_torch",
}
BEST = {
    # A packed sequence holds several rows. The sequences of a pass are laid end to end, and sdpa
    # computes the whole square of them, so more than one a pass costs more than it saves.
    "per_device_train_batch_size": 1,
    "gradient_accumulation_steps": 4,
    "gradient_checkpointing": False,
    "packing": True,
    "optim": "adamw_torch_fused",
}


def random_base(folder: Path, shape: str) -> None:
    """Random weights of a published shape, with the tokenizer of models/base."""
    import torch
    from transformers import AutoTokenizer, Qwen2Config, Qwen2ForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(ROOT / "models/base")
    ends = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    torch.set_default_dtype(torch.bfloat16)
    Qwen2ForCausalLM(Qwen2Config(**SHAPES[shape], **ends)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def passages(count: int, longest: int) -> list[Row]:
    """Rows of many lengths up to `longest` characters, cut from the sample's passages."""
    text = "".join(row.output for row in read_records(Row, ROOT / "data/merged/novel/train.jsonl"))
    rows, at = [], 0
    for position in range(count):
        # Every length from a quarter of the longest comes up equally often.
        length = longest // 4 + position * 7919 % (longest - longest // 4)
        piece = (text + text)[at : at + length]
        at = (at + length) % len(text)
        identity = row_id("bench", f"{position}{piece}")
        rows.append(Row(identity, "bench", position, "", "接着写", piece))
    return rows


def measure(base: Path, rows: list[Row], settings: dict[str, Any]) -> dict[str, Any]:
    """What logs/train says after one pass over the rows, in a process of its own."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        yaml = YAML()
        content = yaml.load((ROOT / "params.yaml").read_text(encoding="utf-8"))
        once = {"max_steps": -1, "num_train_epochs": 1.0, "max_length": 1024, "precision": "auto"}
        measuring = {"eval_strategy": "epoch", "save_strategy": "epoch"}
        content["train"].update(once | measuring | settings)
        yaml.dump(content, folder / "params.yaml")
        (folder / "models").mkdir()
        (folder / "models/base").symlink_to(base.resolve())
        write_records(folder / "data/merged/novel/train.jsonl", rows)
        write_records(folder / "data/merged/novel/eval.jsonl", rows[:2])
        subprocess.run(
            [sys.executable, ROOT / "stages/train.py", "novel"],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
            capture_output=True,
            check=True,
        )
        return json.loads((folder / "logs/train/novel.json").read_text(encoding="utf-8"))


def table_row(name: str, logs: list[dict[str, Any]], baseline: float) -> str:
    """A line of the table: medians, with the range of the speed."""
    speeds = [log["tokens_per_second"] for log in logs]
    median = statistics.median(speeds)
    cells = (
        name,
        f"{median:,.0f} ({min(speeds):,.0f} to {max(speeds):,.0f})",
        f"{median / baseline:.1f}",
        f"{statistics.median(log['utilisation'] for log in logs):.1%}",
        f"{max(log['peak_device_mebibytes'] for log in logs):,}",
    )
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Measure both settings in turn and print the table."""
    import torch

    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--architecture", choices=SHAPES, help="random weights instead of a model")
    architecture = parser.parse_args().architecture
    rows = passages(ROWS["gpu" if torch.cuda.is_available() else "cpu"], 800)
    with TemporaryDirectory() as scratch:
        base = ROOT / "models/base"
        if architecture:
            base = Path(scratch) / "base"
            random_base(base, architecture)
        logs: dict[str, list[dict[str, Any]]] = {"baseline": [], "best": []}
        for _ in range(RUNS):
            logs["baseline"].append(measure(base, rows, BASELINE))
            logs["best"].append(measure(base, rows, BEST))
    first = logs["baseline"][0]
    option = f" --architecture {architecture}" if architecture else ""
    print(f"`python -m bench.train{option}`\n")
    print(f"{architecture or 'models/base'}, {first['hardware']}, {first['number_format']},")
    print(f"{len(rows)} rows of 200 to 800 characters, one pass, medians of {RUNS} runs in turn\n")
    print("| | tokens a second | times the baseline | utilisation | peak memory (MiB) |")
    print("|:--|--:|--:|--:|--:|")
    baseline = statistics.median(log["tokens_per_second"] for log in logs["baseline"])
    print(table_row("baseline: 4 padded rows, checkpointing", logs["baseline"], baseline))
    print(table_row("best: packed, no checkpointing", logs["best"], baseline))


if __name__ == "__main__":
    main()
