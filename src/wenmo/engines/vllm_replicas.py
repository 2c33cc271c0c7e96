"""vLLM on this machine: all prompts in one batch, base and adapters from one loaded base.

It runs in `data_parallel_size` processes of its own (replicas), each with its share of the prompts
and `tensor_parallel_size` GPUs. When they end, all of their memory is free for the next model.
"""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tqdm import tqdm

from wenmo.config.generate import GenerateParams, Sampling
from wenmo.core.errors import UserError
from wenmo.core.language import N_, gettext
from wenmo.engines.engine import (
    Completion,
    Model,
    OnTokens,
    Prompt,
    completion,
    ignore,
    prompt_tokens,
)
from wenmo.engines.verse_rows import refuse_impossible
from wenmo.engines.vllm_arguments import engine_arguments, is_cpu_build, replica_environment
from wenmo.model.loading import end_tokens, load_tokenizer
from wenmo.text.asked_verse import Verse

if TYPE_CHECKING:
    from vllm.sampling_params import SamplingParams

STOP_SECONDS = 60
"""Time for a replica to end before it is killed (seconds)."""

HINT = N_("VLLM_LOGGING_LEVEL=INFO in the environment shows more")


@dataclass(frozen=True)
class Job:
    """The prompts of a replica as tokens, with a seed and perhaps the rules of a poem each."""

    ids: list[str]
    tokens: list[list[int]]
    seeds: list[int]
    verses: list[Verse | None]
    sampling: Sampling
    ends: list[int]
    adapter: str | None


Answer = tuple[str, list[int], bool]
"""Id of the prompt, tokens of its answer, and whether the answer ended by itself."""

NEWS_SECONDS = 0.5
"""Time between two messages of a replica about its progress (seconds)."""

NEWS_TOKENS = 16
"""Tokens of an answer between two outputs of vLLM; each output costs a little time."""


@dataclass(frozen=True)
class News:
    """The answers that a replica has finished since its last message, and the tokens written."""

    answers: list[Answer]
    tokens: int


@dataclass(frozen=True)
class Failure:
    """The message of a replica that fails."""

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
        self,
        model: Model,
        prompts: Sequence[Prompt],
        sampling: Sampling,
        on_tokens: OnTokens = ignore,
    ) -> Iterator[Completion]:
        """One completion per prompt, as vLLM finishes them."""
        tokenizer = load_tokenizer(model.folder)
        arguments = engine_arguments(model.folder, self.adapters, self.params, is_cpu_build())
        tokens = prompt_tokens(prompts, tokenizer, sampling, arguments["max_model_len"])
        if any(prompt.verse for prompt in prompts):
            if self.params.verse == "free":
                raise ValueError("an engine of verse free has no processor for verse by rule")
            refuse_impossible(prompts, model.folder, sampling.max_new_tokens)
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
                verses=[prompts[index].verse for index in share],
                sampling=sampling,
                ends=sorted(end_tokens(model.folder)),
                adapter=str(model.adapter) if model.adapter else None,
            )
            _send(connection, job)
        waiting = {prompt.id: prompt for prompt in prompts}
        while waiting:
            ready = set(wait(connections))
            for connection in connections:
                if connection not in ready:
                    continue
                news: News = _received(connection)
                on_tokens(news.tokens)
                for prompt_id, answer, ended in news.answers:
                    prompt = waiting.pop(prompt_id)
                    yield completion(prompt, answer, ended, tokenizer, sampling.stop)

    def _start(self, folder: Path, arguments: dict[str, Any]) -> None:
        """Start the replicas and wait until each has loaded the model."""
        if find_spec("vllm") is None:
            raise UserError(
                "vLLM is not installed: `make vllm` for CPUs, `pip install -e '.[vllm]'` for GPUs"
            )
        tqdm.write(gettext("vLLM reads {folder}", folder=folder), file=sys.stderr)
        started = time.monotonic()
        # The fork of a process that has used a GPU cannot use it.
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
        """End the replicas, even while they work."""
        for process, connection in self.replicas:
            connection.close()
            process.terminate()
        for process, _ in self.replicas:
            process.join(STOP_SECONDS)
            if process.is_alive():
                process.kill()
                process.join()
        self.replicas, self.folder = [], None


def _send(connection: Connection, job: Job) -> None:
    """Send a job to a replica. Raises UserError if the replica has ended."""
    try:
        connection.send(job)
    except OSError:
        raise UserError("vLLM ended without a message; {hint}", hint=gettext(HINT)) from None


def _received(connection: Connection) -> Any:
    """The next message of a replica. Raises UserError if the replica has failed or ended."""
    try:
        message = connection.recv()
    except (EOFError, OSError):
        raise UserError("vLLM ended without a message; {hint}", hint=gettext(HINT)) from None
    if isinstance(message, Failure):
        raise UserError("vLLM: {reason}; {hint}", reason=message.reason, hint=gettext(HINT))
    return message


def _replica(
    connection: Connection, environment: dict[str, str], arguments: dict[str, Any]
) -> None:
    """The process of one replica: report that it is ready, then answer jobs until it is ended."""
    # Ctrl-C reaches the parent process too, which then ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ.update(environment)
    try:
        _answer_jobs(connection, arguments)
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        connection.send(Failure(reason))


def _end_with_parent() -> None:
    """End this process as soon as its parent has ended, even while it works."""
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
        for prompt_id, tokens, seed, verse in zip(
            job.ids, job.tokens, job.seeds, job.verses, strict=True
        ):
            engine.add_request(
                prompt_id,
                {"prompt_token_ids": tokens},
                sampling_params(job.sampling, seed, job.ends, verse),
                lora_request=adapter,
            )
        written: dict[str, list[int]] = {prompt_id: [] for prompt_id in job.ids}
        unsent, sent = 0, time.monotonic()
        while engine.has_unfinished_requests():
            answers: list[Answer] = []
            for each in engine.step():
                (output,) = each.outputs
                written[each.request_id] += output.token_ids
                unsent += len(output.token_ids)
                if each.finished:
                    ended = output.finish_reason == "stop"
                    answers.append((each.request_id, written.pop(each.request_id), ended))
            if answers or time.monotonic() - sent > NEWS_SECONDS:
                connection.send(News(answers, unsent))
                unsent, sent = 0, time.monotonic()


def sampling_params(
    sampling: Sampling, seed: int, ends: list[int], verse: Verse | None = None
) -> "SamplingParams":
    """VLLM's parameters for our sampling, and for a poem by rule what `VerseProcessor` reads."""
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
        # The parent process decodes the tokens; vLLM needs the text only for stop strings.
        detokenize=bool(sampling.stop),
        # The new tokens of an answer alone, not all of them again.
        output_kind=RequestOutputKind.DELTA,
        stream_interval=NEWS_TOKENS,
        extra_args={"verse": asdict(verse)} if verse else None,
    )
