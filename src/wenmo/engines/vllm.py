"""vLLM's offline engine: all prompts at once, base and adapters from one loaded base.

It runs in processes of its own, `data_parallel_size` of them, each with its share of the prompts
and with `tensor_parallel_size` GPUs: when they end, all of their memory is free for the next model.
"""

import json
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tqdm import tqdm

from wenmo.config.generate import GenerateParams, Sampling, VllmParams
from wenmo.config.params_file import Precision
from wenmo.core.errors import UserError
from wenmo.engines.engine import (
    Completion,
    Model,
    Prompt,
    completion,
    prompt_tokens,
    refuse_without,
)
from wenmo.model.loading import context_length, end_tokens, load_tokenizer

if TYPE_CHECKING:
    from vllm.sampling_params import SamplingParams

DTYPES: dict[Precision, str] = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""What vLLM takes as max_lora_rank (vllm/config/lora.py)."""

CPU_MODEL_LENGTH = 4096
"""Longest prompt and answer on CPUs (tokens), twice the longest that a published preset trains on.

vLLM sets aside memory for a whole prompt at once, which for a model's own 32,768 a CPU rarely has.
"""

CPU_CACHE_GIBIBYTES = "2"
"""Enough for one such conversation in fp32 with a key for every head (Qwen1.5-1.8B: 1.6 GiB)."""

PATIENCE = 60
"""Seconds for a replica to end before it is killed."""

ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
    # On CPUs: GiB for keys and values, and cores that are left out.
    "VLLM_CPU_KVCACHE_SPACE": CPU_CACHE_GIBIBYTES,
    "VLLM_CPU_NUM_OF_RESERVED_CPU": "0",
}
"""What is set so unless the user has set it."""


SAYS_MORE = "with VLLM_LOGGING_LEVEL=INFO in the environment it says more"


@dataclass(frozen=True)
class Job:
    """What a replica is asked: prompts as tokens, with a seed each."""

    ids: list[str]
    tokens: list[list[int]]
    seeds: list[int]
    sampling: Sampling
    ends: list[int]
    adapter: str | None


Answer = tuple[str, list[int], bool]
"""Of a prompt the id, the answer's tokens, and whether it ended by itself."""


@dataclass(frozen=True)
class Failure:
    """Why a replica ended."""

    reason: str


class VllmEngine:
    """The replicas of one model at a time."""

    def __init__(self, params: GenerateParams, adapters: Sequence[Path]) -> None:
        self.params = params
        self.adapters = adapters
        self.cost: dict[str, Any] = {}
        self.folder: Path | None = None
        self.replicas: list[tuple[BaseProcess, Connection]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def generate(
        self, model: Model, prompts: Sequence[Prompt], sampling: Sampling
    ) -> Iterator[Completion]:
        """One completion a prompt, as vLLM finishes them."""
        tokenizer = load_tokenizer(model.folder)
        arguments = engine_arguments(model.folder, self.adapters, self.params, for_cpus())
        tokens = prompt_tokens(prompts, tokenizer, sampling, arguments["max_model_len"])
        if self.folder != model.folder:
            self._stop()
            self._start(model.folder, arguments)
        connections = [connection for _, connection in self.replicas]
        for rank, connection in enumerate(connections):
            share = range(rank, len(prompts), len(connections))
            job = Job(
                ids=[prompts[index].id for index in share],
                tokens=[tokens[index] for index in share],
                seeds=[prompts[index].seed for index in share],
                sampling=sampling,
                ends=sorted(end_tokens(model.folder)),
                adapter=str(model.adapter) if model.adapter else None,
            )
            _send(connection, job)
        waiting = {prompt.id: prompt for prompt in prompts}
        while waiting:
            ready = set(wait(connections))
            for connection in connections:
                answers: list[Answer] = _received(connection) if connection in ready else []
                for prompt_id, answer, ended in answers:
                    prompt = waiting.pop(prompt_id)
                    yield completion(prompt, answer, ended, tokenizer, sampling.stop)

    def _start(self, folder: Path, arguments: dict[str, Any]) -> None:
        """Start the replicas and wait until each has read the model."""
        if find_spec("vllm") is None:
            raise UserError(
                "vLLM is not installed: `make vllm` for CPUs, `pip install -e '.[vllm]'` for GPUs"
            )
        tqdm.write(f"vLLM reads {folder}", file=sys.stderr)
        started = time.monotonic()
        # A fork of a process that has used a GPU could not use it.
        context = multiprocessing.get_context("spawn")
        for rank in range(self.params.vllm.data_parallel_size):
            here, there = context.Pipe()
            environment = replica_environment(rank, self.params.vllm)
            process = context.Process(target=_replica, args=(there, environment, arguments))
            process.start()
            there.close()
            self.replicas.append((process, here))
        for _, connection in self.replicas:
            _received(connection)
        self.folder = folder
        self.cost["start_seconds"] = round(time.monotonic() - started, 2)

    def _stop(self) -> None:
        """End the replicas, whatever they are at."""
        for process, connection in self.replicas:
            connection.close()
            process.terminate()
        for process, _ in self.replicas:
            process.join(PATIENCE)
            if process.is_alive():
                process.kill()
                process.join()
        self.replicas, self.folder = [], None


def for_cpus() -> bool:
    """Whether the installed vLLM computes on CPUs, by the name or version of its package."""
    for package in ("vllm", "vllm-cpu"):
        try:
            return "cpu" in f"{package} {version(package)}"
        except PackageNotFoundError:
            continue
    return False


def engine_arguments(
    folder: Path, adapters: Sequence[Path], params: GenerateParams, on_cpu: bool
) -> dict[str, Any]:
    """What vLLM's EngineArgs take for the model in `folder` with room for the adapters.

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
        # Sampling settings that a published model brings along would add to ours.
        "generation_config": "vllm",
        # What was asked before must not change the way in which a prompt is computed.
        "enable_prefix_caching": False,
        "disable_log_stats": True,
    }
    if on_cpu:
        arguments |= {
            "enforce_eager": True,
            # Prompts are read whole: vLLM 0.32 ends on CPUs when one with a seed is read in parts
            # ("CPU Generator does not use offset").
            "enable_chunked_prefill": False,
            "max_num_batched_tokens": max(8192, length),
            "distributed_executor_backend": "uni" if ours.tensor_parallel_size == 1 else "mp",
        }
    if adapters:
        refuse_full_precision(params.precision, on_cpu)
        arguments |= {"enable_lora": True, "max_lora_rank": max(map(lora_rank, adapters))}
    return arguments


def refuse_full_precision(precision: Precision, on_cpu: bool) -> None:
    """Raise UserError where vLLM's kernels for adapters do not know the number format."""
    if precision == "fp32" and not on_cpu:
        raise UserError(
            "vLLM runs adapters on GPUs in bf16 and fp16 alone; set generate.precision to bf16"
        )


def lora_rank(adapter: Path) -> int:
    """The least max_lora_rank with which vLLM reads an adapter.

    Raises UserError for one that it cannot read.
    """
    config = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    if "r" not in config:
        raise UserError(f"{adapter}: adapter_config.json names no rank (r), so this is no LoRA")
    rank = max(config["r"], *config.get("rank_pattern", {}).values(), 1)
    if config.get("use_dora") or rank > LORA_RANKS[-1]:
        raise UserError(
            f"{adapter}: vLLM reads no DoRA adapter and none of a rank over {LORA_RANKS[-1]}; use"
            " the merged weights (generate.weights: merged; wenmo serve: leave it out by --task)"
        )
    return next(allowed for allowed in LORA_RANKS if rank <= allowed)


def replica_environment(rank: int, params: VllmParams) -> dict[str, str]:
    """What the environment of a replica adds to this one's; GPUs of its own if there are several.

    Raises UserError if there are not enough.
    """
    # The engine in the replica's own process: its schedule is then the same each time.
    environment = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0"}
    environment |= {name: value for name, value in ENVIRONMENT.items() if name not in os.environ}
    if params.batch_invariant and not for_cpus():
        environment["VLLM_BATCH_INVARIANT"] = "1"
    if for_cpus():
        # A stage allows one thread for the sake of bytes that vLLM does not promise anyway.
        threads = str(max(1, (os.cpu_count() or 1) // params.data_parallel_size))
        environment |= {"MKL_NUM_THREADS": threads, "OMP_NUM_THREADS": threads}
    if params.data_parallel_size > 1:
        gpus, replicas = params.tensor_parallel_size, params.data_parallel_size
        own = os.environ.get("CUDA_VISIBLE_DEVICES")
        every = own.split(",") if own else [str(index) for index in range(replicas * gpus)]
        if len(every) < replicas * gpus:
            raise UserError(
                f"CUDA_VISIBLE_DEVICES names {len(every)} GPUs; generate.vllm.data_parallel_size"
                f" times tensor_parallel_size is {replicas * gpus}"
            )
        environment["CUDA_VISIBLE_DEVICES"] = ",".join(every[rank * gpus : (rank + 1) * gpus])
    return environment


def _send(connection: Connection, job: Job) -> None:
    """Hand a job to a replica. Raises UserError if it is gone."""
    try:
        connection.send(job)
    except OSError:
        raise UserError(f"vLLM ended without a word; {SAYS_MORE}") from None


def _received(connection: Connection) -> Any:
    """The next message of a replica. Raises UserError if it has failed or is gone."""
    try:
        message = connection.recv()
    except (EOFError, OSError):
        raise UserError(f"vLLM ended without a word; {SAYS_MORE}") from None
    if isinstance(message, Failure):
        raise UserError(f"vLLM: {message.reason}; {SAYS_MORE}")
    return message


def _replica(
    connection: Connection, environment: dict[str, str], arguments: dict[str, Any]
) -> None:
    """The process of one replica: say that it is ready, then answer jobs until it is ended."""
    # Ctrl-C is the other process's affair, which then ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ.update(environment)
    try:
        _answer_jobs(connection, arguments)
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        connection.send(Failure(reason))


def _end_with_parent() -> None:
    """End this process as soon as the one that started it is gone, whatever it is doing."""
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
    os._exit(1)


def _answer_jobs(connection: Connection, arguments: dict[str, Any]) -> None:
    from vllm import EngineArgs, LLMEngine
    from vllm.lora.request import LoRARequest

    engine = LLMEngine.from_engine_args(EngineArgs(**arguments))
    connection.send("ready")
    while True:
        job: Job = connection.recv()
        # vLLM knows an adapter by a number.
        adapter = LoRARequest(job.adapter, 1, job.adapter) if job.adapter else None
        for prompt_id, tokens, seed in zip(job.ids, job.tokens, job.seeds, strict=True):
            engine.add_request(
                prompt_id,
                {"prompt_token_ids": tokens},
                sampling_params(job.sampling, seed, job.ends),
                lora_request=adapter,
            )
        while engine.has_unfinished_requests():
            answers: list[Answer] = [
                (each.request_id, list(output.token_ids), output.finish_reason == "stop")
                for each in engine.step()
                if each.finished
                for output in each.outputs
            ]
            if answers:
                connection.send(answers)


def sampling_params(sampling: Sampling, seed: int, ends: list[int]) -> "SamplingParams":
    """Our sampling in vLLM's terms."""
    from vllm.sampling_params import RequestOutputKind, SamplingParams

    return SamplingParams(
        max_tokens=sampling.max_new_tokens,
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        top_k=sampling.top_k,
        repetition_penalty=sampling.repetition_penalty,
        seed=seed,
        stop=sampling.stop,
        stop_token_ids=ends,
        # Tokens become text in the other process; here only to find where to stop.
        detokenize=bool(sampling.stop),
        output_kind=RequestOutputKind.FINAL_ONLY,
    )


def load(params: GenerateParams, models: Sequence[Model]) -> VllmEngine:
    """The engine for these models; vLLM starts when one of them is asked.

    Raises UserError if one is not there.
    """
    refuse_without(models)
    return VllmEngine(params, [model.adapter for model in models if model.adapter])
