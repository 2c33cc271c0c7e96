"""Generation one prompt at a time, and by wenmo's engines in batches of several sizes.

Random weights hardly ever end a text, so that each has as many tokens as it may. The times do not
include loading the model, nor the first prompt. As a module it measures one contender:

python -m bench.gpu.generate ENGINE PROMPTS      in a folder with params.yaml and model
"""

import json
import random
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.corpus import sentence
from bench.generate import PLAIN_TRANSFORMERS, our_engine, plain_transformers
from bench.gpu import turns
from bench.random_weights import REHEARSAL, write_model
from bench.rounds import Measurement, quantity, rate
from bench.stage_run import run_module, write_params

ONE_BY_ONE, TOKENS = 4, 200
"""Prompts that are asked one at a time, and tokens per text."""
BATCHES = (8, 32, 128, 512)
"""Prompts per batch; each size is measured on two batches."""
VLLM_PROMPTS = 1024


def contenders(folder: Path, architecture: str) -> dict[str, Any]:
    """One by one, transformers by batch size, and vLLM, which must be installed."""
    write_model(folder / "model", architecture)
    tokens, batches = (8, BATCHES[:1]) if architecture == REHEARSAL else (TOKENS, BATCHES)

    def measure(engine: str, prompts: int, batch: int = 1) -> Measurement:
        if engine == "vllm" and not find_spec("vllm"):
            sys.exit("vLLM is not installed")
        settings = {
            "engine": "transformers" if engine == PLAIN_TRANSFORMERS else engine,
            "precision": "bf16",
            "sampling": {"max_new_tokens": tokens},
            "transformers": {"batch_size": batch},
        }
        write_params(folder, {"generate": settings})
        return run_module(folder, "bench.gpu.generate", engine, str(prompts))

    by_size = {
        f"wenmo, transformers, {batch} at a time": lambda batch=batch: measure(
            "transformers", 2 * batch, batch
        )
        for batch in batches
    }
    return {
        PLAIN_TRANSFORMERS: lambda: measure(PLAIN_TRANSFORMERS, ONE_BY_ONE),
        **by_size,
        f"wenmo, vLLM, {VLLM_PROMPTS} prompts": lambda: measure("vllm", VLLM_PROMPTS),
    }


def once(engine: str, count: int) -> Measurement:
    """Load, warm up by a prompt, and answer all prompts."""
    from wenmo.model.cost import peak_device_mebibytes

    draw = random.Random(0)
    prompts = [sentence(draw) for _ in range(count)]
    if engine == PLAIN_TRANSFORMERS:
        plain_transformers(prompts[:1])()
        ask = plain_transformers(prompts)
    else:
        ask = our_engine(engine, prompts)
    started = time.perf_counter()
    tokens = ask()
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "tokens": tokens, "peak_mebibytes": peak_device_mebibytes()}


def tables(result: dict[str, Any]) -> list[str]:
    """Tokens per second, and beside one prompt at a time."""
    alone = result["runs"].get(PLAIN_TRANSFORMERS)

    def beside_alone(own: list[Measurement]) -> str:
        return f"{rate(own, 'tokens').median / rate(alone, 'tokens').median:.1f}" if alone else ""

    return turns.tables(
        result,
        {
            "tokens per second": lambda own: rate(own, "tokens").shown(0),
            "times one by one": beside_alone,
            "memory (MiB)": lambda own: quantity(own, "peak_mebibytes").shown(0),
        },
    )


if __name__ == "__main__":
    print(json.dumps(once(sys.argv[1], int(sys.argv[2]))))
