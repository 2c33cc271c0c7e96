"""Section `train`: LoRA training, and the settings that cannot work together or on this machine."""

import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, Field, model_validator

from wenmo.config.grpo import GrpoParams
from wenmo.config.learning_rate import LearningRate
from wenmo.config.lora import LoraParams
from wenmo.config.params_file import (
    PARAMS_FILE,
    Count,
    Fraction,
    PositiveFloat,
    PositiveInt,
    Precision,
    Section,
)
from wenmo.core.errors import ParamsError
from wenmo.core.language import gettext

Quantization = Literal["none", "8bit", "4bit"]

Method = Literal["sft", "grpo"]
METHODS: tuple[Method, ...] = get_args(Method)
"""Ways to fit an adapter, each a module of wenmo.methods."""

ATTENTION = re.compile(r"sdpa|eager|flash_attention_2|kernels-community/[\w-]+(@\w+)?")
"""Attention of transformers, of the package flash-attn, or a build of the Hugging Face Hub."""

OPTIMIZERS_OF_8_BITS = ("adamw_8bit", "paged_adamw_8bit")


def _steps_or_epochs(value: int) -> int:
    if value < 1 and value != -1:
        raise ValueError(gettext("expected a number of steps, or -1 to train num_train_epochs"))
    return value


def _known_attention(value: str) -> str:
    if not ATTENTION.fullmatch(value):
        raise ValueError(
            gettext(
                "expected sdpa, eager, flash_attention_2, or a build of the Hugging Face Hub such"
                " as kernels-community/flash-attn2"
            )
        )
    return value


class TrainParams(Section):
    """Section `train`; the names are those of trl.SFTConfig where it has them."""

    method: Method
    max_steps: Annotated[int, AfterValidator(_steps_or_epochs)]
    num_train_epochs: PositiveFloat
    max_length: PositiveInt
    max_truncated: Fraction
    mask_history: bool
    packing: bool
    per_device_train_batch_size: PositiveInt
    gradient_accumulation_steps: PositiveInt
    max_learning_rate: PositiveFloat
    learning_rate: LearningRate
    lr_scheduler_type: Literal["constant", "linear", "cosine"]
    warmup_steps: Count
    weight_decay: float = Field(ge=0)
    neftune_noise_alpha: float = Field(ge=0)
    optim: Literal["adamw_torch", "adamw_torch_fused", "adamw_8bit", "paged_adamw_8bit"]
    precision: Precision | Literal["auto"]
    quantization: Quantization
    bnb_4bit_quant_type: Literal["nf4", "fp4"]
    bnb_4bit_use_double_quant: bool
    attn_implementation: Annotated[str, AfterValidator(_known_attention)]
    use_kernels: bool
    torch_compile: bool
    gradient_checkpointing: bool
    activation_offloading: bool
    logging_steps: PositiveInt
    eval_strategy: Literal["steps", "epoch"]
    eval_steps: PositiveInt
    save_strategy: Literal["steps", "epoch"]
    save_steps: PositiveInt
    save_total_limit: PositiveInt
    load_best_model_at_end: bool
    report_to: Literal["none", "tensorboard", "trackio", "swanlab", "wandb"]
    # srun alone would start several trainings that know nothing of one another.
    launcher: str = Field(pattern=r"^(python$|(srun .+ )?(torchrun|accelerate launch) )")
    lora: LoraParams
    grpo: GrpoParams

    @property
    def reward_learning_rate(self) -> float:
        """The peak learning rate of training by rewards; auto is a 25th of the other one."""
        given = self.grpo.learning_rate
        return self.learning_rate / 25 if given == "auto" else given

    @property
    def is_sharded(self) -> bool:
        """Whether the launcher shards weights over its devices."""
        return "fsdp" in self.launcher or "deepspeed" in self.launcher

    def in_use(self) -> dict[str, Any]:
        """The section as it bears on the adapter: without what its method does not read."""
        return self.supervised() if self.method == "sft" else self.model_dump(exclude={"report_to"})

    def supervised(self) -> dict[str, Any]:
        """The section as it bears on supervised training."""
        return self.model_dump(exclude={"method", "grpo", "report_to"})

    @model_validator(mode="after")
    def _can_work(self) -> Self:
        _refuse_sharded_quantization(self)
        _refuse_what_adapters_cannot_do(self)
        _refuse_uncomparable_checkpoints(self)
        _refuse_what_rewards_cannot_do(self)
        return self


def missing_here(params: TrainParams) -> str:
    """What this machine lacks to train so, with the way out; empty if it lacks nothing.

    This is no part of the validation: params.yaml may be written on a laptop for a GPU server.
    """
    for module, wanted, way_out in _packages(params):
        if find_spec(module) is None:
            return gettext(
                "{wanted} needs {module}, which is not installed here; {way_out}",
                wanted=wanted,
                module=module,
                way_out=way_out,
            )
    reason = next(_reasons_for_a_gpu(params), "")
    if reason:
        # torch takes seconds to load, and no other setting needs it here.
        import torch

        if torch.cuda.is_available():
            return ""
    return reason


def _packages(params: TrainParams) -> Iterator[tuple[str, str, str]]:
    """Modules that settings need besides the default ones: module, setting, way out."""
    attention = params.attn_implementation
    extra = "pip install -c constraints.txt -e '.[{}]'".format
    if params.quantization != "none":
        yield "bitsandbytes", f"quantization {params.quantization}", extra("gpu")
    if params.optim in OPTIMIZERS_OF_8_BITS:
        yield "bitsandbytes", f"optim {params.optim}", extra("gpu")
    if attention == "flash_attention_2":
        yield "flash_attn", f"attn_implementation {attention}", "pip install flash-attn"
    if "/" in attention:
        yield "kernels", f"attn_implementation {attention}", extra("kernels")
    if params.use_kernels:
        yield "kernels", "use_kernels", extra("kernels")
    if "deepspeed" in params.launcher:
        yield "deepspeed", f"launcher {params.launcher!r}", "pip install deepspeed"
    tracker: str = params.report_to
    if tracker == "tensorboard" and not find_spec(tracker):
        # transformers takes either of two packages, of which this is the smaller one.
        tracker = "tensorboardX"
    if tracker != "none":
        yield tracker, f"report_to {params.report_to}", f"pip install {tracker}"


def _reasons_for_a_gpu(params: TrainParams) -> Iterator[str]:
    """Why settings need a GPU, each with the way out."""
    if params.precision == "fp16":
        yield gettext(
            "precision fp16 needs a GPU, since its gradients are scaled there; set it to bf16,"
            " fp32 or auto"
        )
    if params.attn_implementation not in ("sdpa", "eager"):
        yield gettext(
            "attn_implementation {attention} needs a GPU, for which it is written; set it to sdpa",
            attention=params.attn_implementation,
        )
    if params.use_kernels:
        yield gettext("use_kernels needs a GPU, for which its layers are written; set it to false")
    if params.torch_compile:
        yield gettext(
            "torch_compile needs a GPU: compiled for a CPU, a model multiplies by other"
            " routines than those that give the same bytes everywhere; set it to false"
        )
    if params.activation_offloading:
        yield gettext(
            "activation_offloading needs a GPU, from whose memory activations are moved to the"
            " host's; set it to false"
        )


def refuse_missing(params: TrainParams, task: str, path: Path = PARAMS_FILE) -> None:
    """Raise ParamsError if this machine cannot train a task as params.yaml says."""
    if missing := missing_here(params):
        raise ParamsError(
            "{path}: train ({task}): {missing}", path=path, task=task, missing=missing
        )


def _refuse_sharded_quantization(params: TrainParams) -> None:
    if params.quantization != "none" and params.is_sharded:
        raise ValueError(
            gettext(
                "quantization {quantization} cannot be sharded by {launcher!r}; set launcher to"
                " torchrun --nproc_per_node=N, which keeps a whole copy on each device",
                quantization=params.quantization,
                launcher=params.launcher,
            )
        )
    if params.optim in OPTIMIZERS_OF_8_BITS and params.is_sharded:
        raise ValueError(
            gettext(
                "optim {optim} cannot be sharded by {launcher!r}; set optim to adamw_torch_fused",
                optim=params.optim,
                launcher=params.launcher,
            )
        )


def _refuse_what_adapters_cannot_do(params: TrainParams) -> None:
    begin, ratio = params.lora.init_lora_weights, params.lora.loraplus_lr_ratio
    if begin == "pissa" and params.quantization != "none":
        raise ValueError(
            gettext(
                "init_lora_weights pissa decomposes the base's weights, which quantization"
                " {quantization} has rounded; set one of them to its default",
                quantization=params.quantization,
            )
        )
    needs_whole = [f"init_lora_weights {begin}"] if begin != "default" else []
    needs_whole += [f"loraplus_lr_ratio {ratio:g}"] if ratio != 1 else []
    if needs_whole and params.is_sharded:
        raise ValueError(
            gettext(
                "lora.{setting} needs whole weights on each device, which {launcher!r} shards; set"
                " launcher to torchrun --nproc_per_node=N",
                setting=needs_whole[0],
                launcher=params.launcher,
            )
        )


def _refuse_uncomparable_checkpoints(params: TrainParams) -> None:
    if not params.load_best_model_at_end:
        return
    if params.save_strategy != params.eval_strategy:
        raise ValueError(
            gettext(
                "load_best_model_at_end needs a held-out loss for each checkpoint: set"
                " save_strategy and eval_strategy alike"
            )
        )
    if params.save_strategy == "steps" and params.save_steps % params.eval_steps:
        raise ValueError(
            gettext(
                "load_best_model_at_end needs a held-out loss for each checkpoint: save_steps"
                " ({save_steps}) is no multiple of eval_steps ({eval_steps})",
                save_steps=params.save_steps,
                eval_steps=params.eval_steps,
            )
        )


def _refuse_what_rewards_cannot_do(params: TrainParams) -> None:
    if params.method == "sft":
        return
    if params.reward_learning_rate > params.learning_rate:
        raise ValueError(
            gettext(
                "grpo.learning_rate ({rate:g}) is above learning_rate ({most:g}); set it to auto,"
                " a 25th of that, since rewards are noisy",
                rate=params.reward_learning_rate,
                most=params.learning_rate,
            )
        )
    if params.is_sharded:
        raise ValueError(
            gettext(
                "method grpo writes texts between its steps, for which weights that are sharded by"
                " {launcher!r} would do no good; set launcher to python or torchrun"
                " --nproc_per_node=N",
                launcher=params.launcher,
            )
        )
