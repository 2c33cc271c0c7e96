"""`wenmo estimate train`: the memory that a training will take, and the devices that it fits."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wenmo.config.base_model import BaseModelParams
from wenmo.config.params_file import Precision
from wenmo.config.train import TrainParams
from wenmo.core.errors import UserError
from wenmo.core.keys import secret
from wenmo.core.language import N_, gettext
from wenmo.tools.task_names import listed_tasks

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

    from wenmo.model.training_memory import Memory

GIB = 2**30
SIZES = (8, 16, 24, 80)
"""The memory of usual GPUs (GiB)."""

RESERVE = 1
"""What a GPU needs besides (GiB): its context with all kernels, cuBLAS' workspace, and gaps.

https://huggingface.co/docs/transformers/model_memory_anatomy measures the context.
"""

BASE = Path("models/base")
HEADS = (N_("weights"), N_("adapter"), N_("activations"), N_("temporary"), N_("total"))

Reckon = Callable[[TrainParams], "Memory"]


def training_tables(on_cpu: bool) -> str:
    """Markdown: what each task of params.yaml takes (GiB), and on a GPU what fits which size.

    Raises UserError if the base's config.json is not to be had, or cannot be reckoned with.
    """
    import pandas as pd
    from transformers.utils import logging

    # Which kernels are missing on this machine says nothing of the one to come.
    logging.set_verbosity_error()
    sections = {task: TrainParams.load("train", task) for task in listed_tasks()}
    reckon = reckoner(base_config(BaseModelParams.load("base_model")), on_cpu)
    taken, fitting = {}, {}
    for task, params in sections.items():
        found = reckon(params)
        parts = (found.weights, found.adapter, found.activations, found.temporary, found.total)
        taken[task] = {gettext(h): each / GIB for h, each in zip(HEADS, parts, strict=True)}
        if not on_cpu:
            fitting[task] = {f"{size} GB": told for size, told in fits(params, reckon).items()}
    tables = [
        str(pd.DataFrame(rows).T.to_markdown(floatfmt=".2f")) for rows in (taken, fitting) if rows
    ]
    return "\n\n".join(tables)


def fits(params: TrainParams, reckon: Reckon) -> dict[int, str]:
    """What to set in section `train` so that it fits into a GPU of each size (GiB).

    Settings are changed one after another, those first that leave the adapter as good as it was,
    until the smallest size fits. What does not help is left as it is.
    """
    told = dict.fromkeys(SIZES, gettext("does not fit"))
    open_sizes = set(SIZES)
    changed: dict[str, Any] = {}
    total = reckon(params).total

    def settle() -> None:
        for size in sorted(open_sizes):
            if total + RESERVE * GIB <= size * GIB:
                settings = (f"{key}: {_in_yaml(value)}" for key, value in changed.items())
                told[size] = ", ".join(settings) or gettext("fits")
                open_sizes.remove(size)

    settle()
    for key, value in _savings(params):
        if not open_sizes:
            break
        try:
            smaller = TrainParams.model_validate(params.model_dump() | changed | {key: value})
        except ValueError:
            # Such as quantized weights, which cannot be sharded.
            continue
        if (found := reckon(smaller).total) < total:
            total, changed = found, changed | {key: value}
            settle()
    return told


def _savings(params: TrainParams) -> Iterator[tuple[str, Any]]:
    if params.precision == "fp32":
        yield "precision", "bf16"
    if not params.gradient_checkpointing:
        yield "gradient_checkpointing", True
    if params.per_device_train_batch_size > 1:
        yield "per_device_train_batch_size", 1
    if params.quantization != "4bit":
        yield "quantization", "4bit"
    yield "max_length", params.max_length // 2


def _in_yaml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def reckoner(config: "PreTrainedConfig", on_cpu: bool) -> Reckon:
    """What tells the memory of a section `train`. Of `precision: auto`, a GPU has bf16."""
    from wenmo.model.loading import resolved
    from wenmo.model.training_memory import training_memory

    known: dict[str, Memory] = {}

    def reckon(params: TrainParams) -> "Memory":
        precision: Precision = resolved(params.precision) if on_cpu else "bf16"
        if params.precision != "auto":
            precision = params.precision
        key = params.model_dump_json()
        if key not in known:
            known[key] = training_memory(config, params, precision, on_gpu=not on_cpu)
        return known[key]

    return reckon


def base_config(params: BaseModelParams) -> "PreTrainedConfig":
    """The configuration of the base that params.yaml names, without its weights.

    It is that of models/base if this is the one, or of a folder of this machine, or it alone is
    fetched from Hugging Face. Raises UserError if none of them has it.
    """
    return config_in(_folder_of_config(params))


def config_in(folder: Path) -> "PreTrainedConfig":
    """The configuration in a folder. Raises UserError if transformers has no such architecture."""
    from transformers import AutoConfig

    from wenmo.model.loading import refuse_unknown_architecture

    refuse_unknown_architecture(folder)
    return AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)


def _folder_of_config(params: BaseModelParams) -> Path:
    if (BASE / "config.json").is_file() and _is_named_by(params):
        return BASE
    if params.source in ("embedded", "path") and (Path(params.path) / "config.json").is_file():
        return Path(params.path)
    if params.source == "huggingface":
        return _fetched_config(params)
    raise UserError(
        "{base} is not the model that params.yaml names; run `dvc repro base_model`", base=BASE
    )


def _is_named_by(params: BaseModelParams) -> bool:
    from wenmo.model.base import identity
    from wenmo.model.provenance import read_record

    record = read_record(BASE)
    return (record.source, record.name, record.revision) == identity(params)


def _fetched_config(params: BaseModelParams) -> Path:
    from huggingface_hub import hf_hub_download

    from wenmo.model import hubs

    name, revision = params.name, params.revision
    if not hubs.is_commit(revision):
        raise hubs.moving_revision(revision, hubs.latest_commit("huggingface", name, revision))
    with hubs.hugging_face_errors(name, revision):
        token = secret("HF_TOKEN") or False
        file = hf_hub_download(name, "config.json", revision=revision, token=token)
    return Path(file).parent
