"""Tokens per second of vLLM by the number of prompts, their texts' length and how it samples.

python -m bench.vllm_sampling models/merged/novel > bench/vllm_sampling.md

All figures are of one process and one run.
"""

import os
import random
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.corpus import sentence
from bench.generate import chat_texts
from bench.machine import describe, in_words
from bench.rounds import table

if TYPE_CHECKING:
    from vllm import LLM

CASES = ((1, 40), (64, 40), (256, 40), (1, 300), (256, 300))
"""Prompts that are answered together, and tokens of each text."""

WAYS: dict[str, dict[str, float]] = {
    "greedy": {"temperature": 0.0},
    "temperature 0.8, top_p 0.9": {"temperature": 0.8, "top_p": 0.9},
    "the same, a seed per prompt": {"temperature": 0.8, "top_p": 0.9, "seed": 1},
    "the same, repetition penalty 1.1": {
        "temperature": 0.8,
        "top_p": 0.9,
        "seed": 1,
        "repetition_penalty": 1.1,
    },
}


def rate(engine: "LLM", prompts: list[dict[str, Any]], tokens: int, way: dict[str, float]) -> float:
    """Tokens per second of texts that are written together."""
    from vllm import SamplingParams

    sampling = [
        SamplingParams(
            max_tokens=tokens, ignore_eos=True, **way | ({"seed": at} if "seed" in way else {})
        )
        for at in range(len(prompts))
    ]
    started = time.monotonic()
    engine.generate(prompts, sampling, use_tqdm=False)
    return len(prompts) * tokens / (time.monotonic() - started)


def main() -> None:
    """Load the model once, and write with it in every way."""
    from wenmo.config.generate import GenerateParams
    from wenmo.engines.vllm_arguments import engine_arguments, is_cpu_build, replica_environment
    from wenmo.model.loading import load_tokenizer

    folder = Path(sys.argv[1])
    params = GenerateParams.load("generate", "novel")
    os.environ.update(replica_environment(0, params.vllm))
    from vllm import LLM

    draw = random.Random(0)
    most = max(count for count, _ in CASES)
    texts = chat_texts([sentence(draw) for _ in range(most)], folder)
    ids = load_tokenizer(folder)(texts, add_special_tokens=False)["input_ids"]
    prompts = [{"prompt_token_ids": each} for each in ids]
    engine = LLM(**engine_arguments(folder, [], params, is_cpu_build()))
    rate(engine, prompts[:1], 1, WAYS["greedy"])
    lines = [
        [name, *(f"{rate(engine, prompts[:count], tokens, way):,.0f}" for count, tokens in CASES)]
        for name, way in WAYS.items()
    ]
    heads = ["sampling", *(f"{count} × {tokens} tokens" for count, tokens in CASES)]
    told = f"`python -m bench.vllm_sampling models/merged/novel`, {in_words(describe())}"
    print(f"{told}. Tokens per second:\n\n{table(heads, lines)}")


if __name__ == "__main__":
    main()
