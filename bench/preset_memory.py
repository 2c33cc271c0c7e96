"""The memory that training takes by each preset, as `wenmo estimate train` reckons it.

python -m bench.preset_memory > bench/preset_memory.md

Nothing is fetched: what the models' published config.json files say of their shapes is below.
"""

import sys
from contextlib import chdir
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.random_weights import KEYS
from bench.rounds import table
from bench.stage_run import ROOT, write_params

from wenmo.config import params_file
from wenmo.config.train import TrainParams
from wenmo.core.records import write_json
from wenmo.tools.estimate import GIB, SIZES, config_in, fits, reckoner
from wenmo.tools.task_names import listed_tasks

SHAPES: dict[str, tuple[str, tuple[int, int, int, int, int], int, dict[str, Any]]] = {
    # https://huggingface.co/NAME/blob/main/config.json
    "Qwen/Qwen2-1.5B-Instruct": ("qwen2", (1536, 8960, 28, 12, 2), 151936, {}),
    "Qwen/Qwen2.5-1.5B-Instruct": ("qwen2", (1536, 8960, 28, 12, 2), 151936, {}),
    "Qwen/Qwen1.5-1.8B-Chat": (
        "qwen2",
        (2048, 5504, 24, 16, 16),
        151936,
        {"tie_word_embeddings": False},
    ),
    "Qwen/Qwen2.5-7B-Instruct": (
        "qwen2",
        (3584, 18944, 28, 28, 4),
        152064,
        {"tie_word_embeddings": False},
    ),
    "Qwen/Qwen3-1.7B": ("qwen3", (2048, 6144, 28, 16, 8), 151936, {"head_dim": 128}),
    "Qwen/Qwen3-4B": ("qwen3", (2560, 9728, 36, 32, 8), 151936, {"head_dim": 128}),
    "Qwen/Qwen3-8B": (
        "qwen3",
        (4096, 12288, 36, 32, 8),
        151936,
        {"head_dim": 128, "tie_word_embeddings": False},
    ),
    # The others are as transformers has them by default.
    "Qwen/Qwen3.5-4B": ("qwen3_5_text", (2560, 9216, 32, 16, 4), 248320, {}),
    "zai-org/GLM-4-9B-0414": (
        "glm4",
        (4096, 13696, 40, 32, 2),
        151552,
        {"tie_word_embeddings": False},
    ),
    "openbmb/MiniCPM3-4B": ("minicpm3", (2560, 6400, 62, 40, 40), 73448, {}),
}
"""Architecture; hidden size, feed-forward size, layers, heads, key-value heads; tokens; others."""


def main() -> None:
    """Print a row per preset that names a model."""
    rows = []
    for path in sorted((ROOT / "presets").glob("*.yaml")):
        preset = params_file.read(path)
        name = preset["base_model"].get("name")
        if name in SHAPES:
            rows.append(row(path.stem, preset, name))
            print(rows[-1], file=sys.stderr)
    heads = ("preset", "weights", "adapter", "activations", "temporary", "total")
    print("`python -m bench.preset_memory > bench/preset_memory.md`\n")
    print("GiB on one device, and what fits which GPU:\n")
    print(table((*heads, *(f"{size} GB" for size in SIZES)), rows))


def row(preset_name: str, preset: dict[str, Any], name: str) -> list[str]:
    """The memory of a preset's first task, and what fits."""
    with TemporaryDirectory() as folder, chdir(folder):
        write_params(Path(), preset)
        params = TrainParams.load("train", listed_tasks()[0])
        model_type, sizes, vocabulary, others = SHAPES[name]
        of_model = dict(zip(KEYS, (vocabulary, *sizes, True), strict=True))
        of_model |= {"model_type": model_type} | others
        write_json(Path("config.json"), of_model)
        reckon = reckoner(config_in(Path()), on_cpu=False)
    found = reckon(params)
    parts = (found.weights, found.adapter, found.activations, found.temporary, found.total)
    told = fits(params, reckon)
    return [preset_name, *(f"{each / GIB:.2f}" for each in parts), *told.values()]


if __name__ == "__main__":
    main()
