"""The memory of trainings as `wenmo estimate train` reckons it, and as it is measured on a CPU.

python -m bench.training_memory > bench/training_memory.md

Each shape is trained in a process of its own, on random weights, by what the stage `train` calls:
two steps on rows of full length. Measured is the process's resident memory at the peak of these
steps, above what it is right before the model is loaded. A tiny model is trained before, so that
all libraries are there already.
"""

import gc
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from unittest.mock import patch

# isort: off
# Before torch and NumPy, whose libraries read the environment that this module sets.
import wenmo.core.stage  # noqa: F401

# isort: on
import psutil
from bench.random_weights import write_random
from bench.rounds import table
from bench.stage_run import ROOT, run_module

from wenmo.config import params_file
from wenmo.config.chat import ChatParams
from wenmo.config.params_file import deep_merge
from wenmo.config.train import TrainParams
from wenmo.core.processes import peak_mebibytes, return_freed_texts
from wenmo.core.records import Row

ADAPTER = {"r": 16, "lora_alpha": 32.0, "lora_dropout": 0.0, "target_modules": "all-linear"}
STEPS = 2
VOCABULARY = 4000
"""Tokens of the tokenizer at most; the models have more."""
HOW = (
    "Each shape was trained on a CPU in a process of its own, on random weights and rows of full"
    " length, by the code of the stage `train`. Measured is the process's resident memory at the"
    " peak of two steps, above what it was right before the model was loaded. The vocabularies have"
    " at least as many tokens as the loss takes at a time (32,768), since a CPU counts no memory"
    " that was asked for and not touched."
)


class Shape(NamedTuple):
    """A model's configuration, and what differs in section `train`."""

    model_type: str
    sizes: dict[str, Any]
    settings: dict[str, Any]
    precision: str = "fp32"


def _qwen2(hidden: int, ffn: int, layers: int, heads: int, groups: int, vocabulary: int) -> dict:
    return {
        "hidden_size": hidden,
        "intermediate_size": ffn,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": groups,
        "vocab_size": vocabulary,
        "tie_word_embeddings": True,
    }


def _train(length: int, rows: int = 1, **others: Any) -> dict[str, Any]:
    return {"max_length": length, "per_device_train_batch_size": rows, **others}


SHAPES = {
    "wide and shallow": Shape("qwen2", _qwen2(1536, 4096, 3, 12, 12, 32768), _train(128)),
    "deep and narrow": Shape("qwen2", _qwen2(256, 704, 32, 4, 4, 32768), _train(512)),
    "large vocabulary": Shape("qwen2", _qwen2(768, 2048, 2, 12, 12, 150_000), _train(512)),
    "long rows, shared keys (GQA)": Shape("qwen3", _qwen2(256, 704, 3, 8, 2, 32768), _train(2048)),
    "four rows a batch": Shape("qwen2", _qwen2(512, 1408, 6, 8, 8, 32768), _train(512, 4)),
    "the same, checkpointed": Shape(
        "qwen2", _qwen2(512, 1408, 6, 8, 8, 32768), _train(512, 4, gradient_checkpointing=True)
    ),
    "bf16, other attention (MLA)": Shape(
        "minicpm3", _qwen2(512, 1408, 3, 8, 8, 32768), _train(384, precision="bf16")
    ),
    "4 bits": Shape(
        "qwen2",
        _qwen2(2048, 5504, 4, 16, 16, 32768),
        _train(128, quantization="4bit", optim="adamw_8bit"),
    ),
}


def main() -> None:
    """Measure every shape, and print the table."""
    rows = []
    for name, shape in SHAPES.items():
        found = measured(name)
        estimated, risen = found["estimated"], found["measured"]
        told = [name, in_words(shape), f"{estimated:,.0f}", f"{risen:,.0f}"]
        rows.append([*told, f"{estimated / risen:.2f}"])
        print(rows[-1], file=sys.stderr)
    print("`python -m bench.training_memory > bench/training_memory.md`\n")
    print(HOW + "\n")
    print(table(("shape", "settings", "estimated (MiB)", "measured (MiB)", "ratio"), rows))


def measured(name: str) -> dict[str, float]:
    """MiB of a shape's training, estimated and measured, by a new process."""
    with TemporaryDirectory() as folder:
        return run_module(Path(folder), "bench.training_memory", name)


def in_words(shape: Shape) -> str:
    """The model and the settings of a shape."""
    sizes = shape.sizes
    return (
        f"{shape.model_type}, {sizes['num_hidden_layers']} layers of {sizes['hidden_size']},"
        f" {sizes['vocab_size']:,} tokens; {shape.settings['per_device_train_batch_size']} by"
        f" {shape.settings['max_length']} tokens"
    )


def measure(name: str) -> dict[str, float]:
    """Estimate and train one shape in this process."""
    from transformers import AutoConfig

    from wenmo.model import training
    from wenmo.model.loading import resolved
    from wenmo.model.training_memory import training_memory

    shape = SHAPES[name]
    # Freed memory goes back at once, so that the resident memory is what is in use.
    return_freed_texts()
    tiny = {**shape.sizes, "num_hidden_layers": 2, "vocab_size": 4500}
    tiny |= {"hidden_size": shape.sizes["num_attention_heads"] * 16, "intermediate_size": 128}
    write_random(Path("tiny"), shape.model_type, tiny, "fp32", VOCABULARY)
    params = _params(shape.settings)
    # A CPU maps weights that need no conversion, and pages of quantized ones would be left over.
    on_disk = resolved(params.precision) if params.quantization == "none" else "bf16"
    write_random(Path("model"), shape.model_type, shape.sizes, on_disk, VOCABULARY)
    _fit(Path("tiny"), _params(shape.settings | {"max_length": 64}))
    config = AutoConfig.from_pretrained("model")
    estimated = training_memory(config, params, resolved(params.precision), on_gpu=False)
    gc.collect()
    before = psutil.Process().memory_info().rss / 2**20
    with patch.object(training, "run", partial(_peak_forgotten, training.run)):
        _fit(Path("model"), params)
    return {
        "estimated": estimated.total / 2**20,
        "measured": peak_mebibytes() - before,
        "weights": estimated.weights / 2**20,
        "adapter": estimated.adapter / 2**20,
        "activations": estimated.activations / 2**20,
        "temporary": estimated.temporary / 2**20,
    }


def _peak_forgotten(run: Callable[..., float], *arguments: Any) -> float:
    # https://man7.org/linux/man-pages/man5/proc_pid_clear_refs.5.html
    Path("/proc/self/clear_refs").write_text("5")
    return run(*arguments)


def _params(settings: dict[str, Any]) -> TrainParams:
    section = params_file.read(ROOT / "params.yaml")["train"]
    small = {"max_steps": STEPS, "learning_rate": 1e-4, "warmup_steps": 0, "lora": ADAPTER}
    small |= {"packing": False, "precision": "fp32", "max_truncated": 1.0}
    return TrainParams.model_validate(deep_merge(deep_merge(section, small), settings))


def _fit(base: Path, params: TrainParams) -> None:
    from wenmo.model.loading import load_tokenizer
    from wenmo.model.tokenized_rows import conversations
    from wenmo.model.training import Outputs, train

    chat = ChatParams(system_prompt="你是一位诗人。")
    (short,) = map(len, conversations([_row(0, 1)], load_tokenizer(base), chat))
    # Rows of a batch that differ in length are padded, as they are in a real training.
    longest = params.max_length - short + 1
    rows = [_row(number, longest - number % 2 * 3) for number in range(2 * STEPS + 2)]
    folder = Path(f"of-{base}")
    outputs = Outputs(folder / "adapter", folder / "curves", folder / "checkpoints")
    train(rows[:-2], rows[-2:], base, outputs, params, chat, 1, {})


def _row(number: int, characters: int) -> Row:
    return Row(f"{number}", "bench", number, "", "写一首诗", "山" * characters)


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    else:
        print(json.dumps(measure(sys.argv[1])))
