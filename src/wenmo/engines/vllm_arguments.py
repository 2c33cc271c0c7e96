"""vLLM's arguments and environment for a model and its adapters; imports no vLLM."""

import json
import os
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from wenmo.config.generate import GenerateParams, VllmParams
from wenmo.config.params_file import Precision
from wenmo.core.errors import UserError
from wenmo.model.loading import context_length

DTYPES: dict[Precision, str] = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
VERSE_PROCESSOR = "wenmo.engines.vllm_verse:VerseProcessor"
LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""The values that vLLM accepts as max_lora_rank (vllm/config/lora.py)."""

CPU_MODEL_LENGTH = 4096
"""Context length on CPUs (tokens), twice the longest that a published preset trains on.

vLLM reserves memory for a prompt of the whole context, which for a model's own 32,768 tokens a CPU
rarely has.
"""

CPU_CACHE_GIBIBYTES = "2"
"""Enough for one such context in fp32 without grouped keys (Qwen1.5-1.8B: 1.6 GiB)."""

ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
    # On CPUs: GiB for keys and values, and cores that are left out.
    "VLLM_CPU_KVCACHE_SPACE": CPU_CACHE_GIBIBYTES,
    "VLLM_CPU_NUM_OF_RESERVED_CPU": "0",
}
"""Values that the user's environment overrides."""


def is_cpu_build() -> bool:
    """Whether the installed vLLM runs on CPUs, by the name or version of its package."""
    for package in ("vllm", "vllm-cpu"):
        try:
            return "cpu" in f"{package} {version(package)}"
        except PackageNotFoundError:
            continue
    return False


def engine_arguments(
    folder: Path, adapters: Sequence[Path], params: GenerateParams, on_cpu: bool
) -> dict[str, Any]:
    """Keyword arguments of vLLM's EngineArgs for the model in `folder` and its adapters.

    Raises UserError for adapters that vLLM cannot run.
    """
    ours, own_length = params.vllm, context_length(folder)
    length = ours.max_model_len or (min(own_length, CPU_MODEL_LENGTH) if on_cpu else own_length)
    arguments: dict[str, Any] = {
        "model": str(folder),
        "dtype": DTYPES[params.precision],
        "max_model_len": length,
        "max_num_seqs": ours.max_num_seqs,
        "tensor_parallel_size": ours.tensor_parallel_size,
        "gpu_memory_utilization": ours.gpu_memory_utilization,
        "quantization": None if ours.quantization == "none" else ours.quantization,
        "load_format": "safetensors",
        # Ignore the sampling settings in a published model's generation_config.json.
        "generation_config": "vllm",
        # A cached prefix would change how a prompt is computed.
        "enable_prefix_caching": False,
        "disable_log_stats": True,
    }
    if on_cpu:
        arguments |= {
            "enforce_eager": True,
            # With chunked prefill vLLM 0.32 crashes on CPUs for prompts with a seed
            # ("CPU Generator does not use offset").
            "enable_chunked_prefill": False,
            "max_num_batched_tokens": max(8192, length),
            "distributed_executor_backend": "uni" if ours.tensor_parallel_size == 1 else "mp",
        }
    if params.verse != "free":
        arguments["logits_processors"] = [VERSE_PROCESSOR]
    if adapters:
        refuse_full_precision(params.precision, on_cpu)
        arguments |= {"enable_lora": True, "max_lora_rank": max(map(lora_rank, adapters))}
    return arguments


def refuse_full_precision(precision: Precision, on_cpu: bool) -> None:
    """Raise UserError if vLLM's kernels for adapters do not have the dtype."""
    if precision == "fp32" and not on_cpu:
        raise UserError(
            "vLLM runs adapters on GPUs only in bf16 and fp16; set generate.precision to bf16"
        )


def lora_rank(adapter: Path) -> int:
    """The smallest max_lora_rank that the adapter fits into.

    Raises UserError for an adapter that vLLM cannot run.
    """
    config = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    if "r" not in config:
        raise UserError(
            "{adapter}: adapter_config.json names no rank (r), so this is no LoRA", adapter=adapter
        )
    rank = max(config["r"], *config.get("rank_pattern", {}).values(), 1)
    if config.get("use_dora") or rank > LORA_RANKS[-1]:
        raise UserError(
            "{adapter}: vLLM runs no DoRA adapter and no rank over {most}; use the merged weights"
            " (generate.weights: merged; wenmo serve: leave it out by --task)",
            adapter=adapter,
            most=LORA_RANKS[-1],
        )
    return next(allowed for allowed in LORA_RANKS if rank <= allowed)


def replica_environment(rank: int, params: VllmParams) -> dict[str, str]:
    """What the environment of a replica adds to this process's: settings, threads and GPUs.

    Several replicas have different GPUs. Raises UserError if there are too few.
    """
    # The engine runs in the replica's own process, so that its schedule is the same each time.
    environment = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0"}
    environment |= {name: value for name, value in ENVIRONMENT.items() if name not in os.environ}
    if params.batch_invariant and not is_cpu_build():
        environment["VLLM_BATCH_INVARIANT"] = "1"
    if is_cpu_build():
        # A stage sets one thread for reproducible bytes, which vLLM does not promise anyway.
        threads = str(max(1, (os.cpu_count() or 1) // params.data_parallel_size))
        environment |= {"MKL_NUM_THREADS": threads, "OMP_NUM_THREADS": threads}
    if params.data_parallel_size > 1:
        gpus, replicas = params.tensor_parallel_size, params.data_parallel_size
        own = os.environ.get("CUDA_VISIBLE_DEVICES")
        every = own.split(",") if own else [str(index) for index in range(replicas * gpus)]
        if len(every) < replicas * gpus:
            raise UserError(
                "CUDA_VISIBLE_DEVICES names {count} GPUs; generate.vllm.data_parallel_size times"
                " tensor_parallel_size is {product}",
                count=len(every),
                product=replicas * gpus,
            )
        environment["CUDA_VISIBLE_DEVICES"] = ",".join(every[rank * gpus : (rank + 1) * gpus])
    return environment
