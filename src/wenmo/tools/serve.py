"""The OpenAI-compatible server of base and adapters: vLLM's, or that of transformers.

This module builds the server's command line and then becomes that process, so that signals reach
the server itself and nothing of ours is left behind when it ends.
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

from wenmo.config.generate import GenerateParams
from wenmo.config.params_file import Precision
from wenmo.core.errors import UserError
from wenmo.core.records import write_json, write_text
from wenmo.engines.vllm import (
    CPU_CACHE_GIBIBYTES,
    CPU_MODEL_LENGTH,
    DTYPES,
    for_cpus,
    lora_rank,
    refuse_full_precision,
)
from wenmo.model.folder import belongs, broken_file, disk_errors_in_one_line

BASE = "base"
"""What the base model is called; a tuned one is called by its task."""

BASE_FOLDER = Path("models/base")
CACHES = Path("logs/serve")
"""Links to models under the names by which `transformers serve` finds them, a folder a port."""

# `vllm serve` asks for the version of a package named vllm, which the package for CPUs is not.
VLLM_SERVER = "vllm.entrypoints.openai.api_server"

TRANSFORMERS_SERVER = "transformers.cli.transformers"
TRANSFORMERS_NEEDS = ("fastapi", "uvicorn")
GENERATION_CONFIG = "generation_config.json"
PLAIN_SAMPLING = {"do_sample": True, "temperature": 1.0, "top_p": 1.0, "top_k": 0}
"""OpenAI's and vLLM's defaults for what a request does not say."""


@dataclass(frozen=True)
class Server:
    """A process to become: its command, what its environment adds, and where it runs.

    `models` says which folder is behind each name that requests may use.
    """

    name: str
    command: list[str]
    environment: dict[str, str]
    models: dict[str, Path]
    working_folder: Path = Path()


def prepare(tasks: Sequence[str], host: str, port: int, *, only_trained: bool = False) -> Server:
    """The server of base and `tasks`, by vLLM if it is installed, else by transformers.

    With `only_trained`, tasks without a model are left out. Raises UserError if a model, a server
    or the port is missing.
    """
    precision = GenerateParams.load("generate").precision
    with_vllm = find_spec("vllm") is not None
    if not with_vllm and any(find_spec(name) is None for name in TRANSFORMERS_NEEDS):
        raise UserError(
            "no server is installed; run `make vllm`, or `pip install -e '.[serve]'` for that of"
            " transformers"
        )
    check_folder(BASE_FOLDER, "config.json", "base_model")
    # transformers' server reads whole models only.
    kind, file, stage = (
        ("adapters", "adapter_config.json", "train")
        if with_vllm
        else ("merged", "config.json", "merge_weights")
    )
    tuned = {task: Path("models") / kind / task for task in tasks}
    if only_trained:
        tuned = {task: folder for task, folder in tuned.items() if (folder / file).is_file()}
        if not tuned:
            raise UserError(f"models/{kind}: no model of {', '.join(tasks)}; run `dvc repro`")
    for task, folder in tuned.items():
        check_folder(folder, file, f"{stage}@{task}")
    check_port(host, port)
    if with_vllm:
        return vllm_server(tuned, precision, host, port, on_cpu=for_cpus())
    return transformers_server({BASE: BASE_FOLDER} | tuned, precision, host, port)


def become(server: Server) -> NoReturn:
    """Replace this process by the server.

    Ctrl-C and SIGTERM then end it with all its processes. Known fault: vLLM 0.32 may miss a SIGTERM
    that comes while it loads a model; the next one ends it.
    """
    sys.stdout.flush()
    os.chdir(server.working_folder)
    os.execvpe(server.command[0], server.command, os.environ | server.environment)  # noqa: S606


def vllm_server(
    adapters: Mapping[str, Path], precision: Precision, host: str, port: int, *, on_cpu: bool
) -> Server:
    """The server of vLLM, with the base in memory once and an adapter a name.

    Raises UserError for an adapter that vLLM cannot read.
    """
    command = [sys.executable, "-m", VLLM_SERVER, "--host", host, "--port", str(port)]
    command += ["--model", str(BASE_FOLDER), "--served-model-name", BASE]
    # Not the sampling settings that a published model brings along, which no request asked for.
    command += ["--dtype", DTYPES[precision], "--generation-config", "vllm"]
    if adapters:
        refuse_full_precision(precision, on_cpu)
        rank = max(lora_rank(folder) for folder in adapters.values())
        command += ["--enable-lora", "--max-lora-rank", str(rank)]
        # As many in a batch as there are, so that no task waits for another.
        command += ["--max-loras", str(len(adapters)), "--lora-modules"]
        command += [f"{task}={folder}" for task, folder in adapters.items()]
    environment = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}
    if on_cpu:
        environment["VLLM_CPU_KVCACHE_SPACE"] = os.environ.get(
            "VLLM_CPU_KVCACHE_SPACE", CPU_CACHE_GIBIBYTES
        )
        # Prompts are read whole: vLLM 0.32 ends on CPUs when one with a seed is read in parts
        # ("CPU Generator does not use offset").
        command += ["--enforce-eager", "--no-enable-chunked-prefill"]
        command += ["--max-num-batched-tokens", str(CPU_MODEL_LENGTH)]
        if _model_length(BASE_FOLDER) > CPU_MODEL_LENGTH:
            command += ["--max-model-len", str(CPU_MODEL_LENGTH)]
    else:
        # As long as the device's memory allows, up to the model's own length.
        command += ["--max-model-len=-1"]
    return Server("vLLM", command, environment, {BASE: BASE_FOLDER, **adapters})


def transformers_server(
    models: Mapping[str, Path], precision: Precision, host: str, port: int
) -> Server:
    """The server of transformers, which loads a model when it is first asked for."""
    cache = CACHES.absolute() / str(port)
    lay_out(models, cache)
    command = [sys.executable, "-m", TRANSFORMERS_SERVER, "serve", "--host", host]
    command += ["--port", str(port), "--dtype", DTYPES[precision]]
    environment = {
        "HF_HUB_CACHE": str(cache),
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_UPDATE_CHECK": "1",
    }
    # In the repository's root a folder called as a task would be taken for its model.
    return Server("transformers serve", command, environment, dict(models), cache)


def lay_out(models: Mapping[str, Path], cache: Path) -> None:
    """Write a Hugging Face cache of links, in which each model is found and listed by its name.

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
    """Raise UserError naming the stage to run if a model is not there or not whole."""
    fault = broken_file(folder) if (folder / file).is_file() else f"no {file}"
    if fault:
        raise UserError(f"{folder}: {fault}; run `dvc repro {stage}`")


def check_port(host: str, port: int) -> None:
    """Raise UserError if no server can listen there; vLLM would share the port with another."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family) as probe:
            # As servers do, so that connections of one that has just ended are no hindrance.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(f"{host}:{port}: {reason}; choose another --host or --port") from None


def _model_length(folder: Path) -> int:
    """The longest text that a model says it can read; without a word, anything."""
    return int(_read(folder / "config.json").get("max_position_embeddings", sys.maxsize))


def _plain_generation_config(folder: Path) -> dict[str, Any]:
    """Where a model's answers end, without the sampling settings that it was published with."""
    own = _read(folder / "config.json")
    if (folder / GENERATION_CONFIG).is_file():
        own |= _read(folder / GENERATION_CONFIG)
    tokens = ("bos_token_id", "eos_token_id", "pad_token_id")
    return {key: own[key] for key in tokens if key in own} | PLAIN_SAMPLING


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content
