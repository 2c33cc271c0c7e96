"""The whole of params.yaml: every section and the model that it must fit.

The first stage checks all sections, so that a wrong key stops a run before it starts. Every other
stage reads its own sections alone.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wenmo.config import fairytale, novel, poetry, train
from wenmo.config.base_model import BaseModelParams
from wenmo.config.chat import ChatParams
from wenmo.config.endpoints import endpoints
from wenmo.config.evaluate import EvaluateParams
from wenmo.config.generate import GenerateParams
from wenmo.config.lengths import refuse_excluded_texts
from wenmo.config.merge import MergeParams
from wenmo.config.merge_weights import MergeWeightsParams
from wenmo.config.params_file import PARAMS_FILE, TASKS, Section, section, unknown_key, value
from wenmo.config.summarize import SummarizeParams
from wenmo.config.train import TrainParams
from wenmo.core.choices import choices
from wenmo.core.errors import ParamsError
from wenmo.core.language import N_

PREPARE_SECTIONS: dict[str, type[Section]] = {
    "novel": novel.PrepareParams,
    "fairytale": fairytale.PrepareParams,
    "poetry": poetry.PrepareParams,
}
TASK_SECTIONS: dict[str, type[Section]] = {
    "summarize": SummarizeParams,
    "merge": MergeParams,
    "chat": ChatParams,
    "train": TrainParams,
    "merge_weights": MergeWeightsParams,
    "generate": GenerateParams,
    "evaluate": EvaluateParams,
}
IN_DVC_YAML = N_("{path}: {own}: belongs in {key} alone, since dvc.yaml takes it from there")
SHARED_KEYS = {
    "train.method": IN_DVC_YAML,
    "train.max_steps": N_(
        "{path}: {own}: belongs in {key} alone, so that -S {key}=500 always takes effect"
    ),
    "train.launcher": IN_DVC_YAML,
    "generate.engine": IN_DVC_YAML,
    "generate.openai.endpoint": IN_DVC_YAML,
}
"""Keys that no task may override, with what is said of one that does."""

SHARED_ONLY = ("tasks", "seed", "data_dir", "endpoints", "base_model")


def check(content: Mapping[str, Any], path: Path = PARAMS_FILE) -> None:
    """Raise ParamsError for the first value of a params file that a stage would refuse."""
    value(content, "seed", int, path)
    value(content, "data_dir", str, path)
    _check_tasks(value(content, "tasks", list, path), path)
    known = (*SHARED_ONLY, "prepare", *TASK_SECTIONS, *TASKS)
    for key in content:
        if key not in known:
            raise unknown_key(key, known, path)
    endpoints(content, path)
    section(BaseModelParams, content, "base_model", path=path)
    for task in TASKS:
        sections = {"prepare": PREPARE_SECTIONS[task], **TASK_SECTIONS}
        for name, model in sections.items():
            section(model, content, name, task, path)
        prepare = section(PREPARE_SECTIONS[task], content, "prepare", task, path)
        written = section(GenerateParams, content, "generate", task, path)
        refuse_excluded_texts(task, prepare, written.length, path)
        for key in content[task]:
            if key not in sections:
                raise unknown_key(f"{task}.{key}", sections, path)
        for key, complaint in SHARED_KEYS.items():
            if _holds(content[task], key):
                raise ParamsError(complaint, path=path, own=f"{task}.{key}", key=key)


def refuse_missing(content: Mapping[str, Any], path: Path = PARAMS_FILE) -> None:
    """Raise ParamsError for the first of `tasks` that this machine cannot train as it is told."""
    for task in content["tasks"]:
        train.refuse_missing(section(TrainParams, content, "train", task, path), task, path)


def _holds(content: Mapping[str, Any], dotted: str) -> bool:
    """Whether nested sections have a value for a dotted key."""
    first, _, rest = dotted.partition(".")
    return first in content and (not rest or _holds(content[first], rest))


def _check_tasks(tasks: list[Any], path: Path) -> None:
    if not tasks:
        raise ParamsError("{path}: tasks: empty; {choices}", path=path, choices=choices("", TASKS))
    for task in tasks:
        if task not in TASKS:
            raise ParamsError(
                "{path}: tasks: {task!r} is no task; {choices}",
                path=path,
                task=task,
                choices=choices(task, TASKS),
            )
        if tasks.count(task) > 1:
            raise ParamsError("{path}: tasks: {task!r} is listed twice", path=path, task=task)
