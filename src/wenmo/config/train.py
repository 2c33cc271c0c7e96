"""Section `train`: LoRA training, and the settings that cannot work together or on this machine."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, Field, model_validator

from wenmo.config.grpo import GrpoParams
from wenmo.config.learning_rate import LearningRate
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


def _steps_or_epochs(value: int) -> int:
    if value < 1 and value != -1:
        raise ValueError(gettext("expected a number of steps, or -1 to train num_train_epochs"))
    return value


class LoraParams(Section):
    """Section `train.lora`; the names are those of peft.LoraConfig."""

    r: PositiveInt
    lora_alpha: PositiveFloat
    lora_dropout: Fraction
    use_rslora: bool
    use_dora: bool
    target_modules: Literal["all-linear"] | Annotated[list[str], Field(min_length=1)]


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
    optim: Literal["adamw_torch", "adamw_torch_fused", "paged_adamw_8bit"]
    precision: Precision | Literal["auto"]
    quantization: Quantization
    bnb_4bit_quant_type: Literal["nf4", "fp4"]
    bnb_4bit_use_double_quant: bool
    attn_implementation: Literal["sdpa", "eager", "flash_attention_2"]
    gradient_checkpointing: bool
    logging_steps: PositiveInt
    eval_strategy: Literal["steps", "epoch"]
    eval_steps: PositiveInt
    save_strategy: Literal["steps", "epoch"]
    save_steps: PositiveInt
    save_total_limit: PositiveInt
    load_best_model_at_end: bool
    # srun alone would start several trainings that know nothing of one another.
    launcher: str = Field(pattern=r"^(python$|(srun .+ )?(torchrun|accelerate launch) )")
    lora: LoraParams
    grpo: GrpoParams

    @property
    def reward_learning_rate(self) -> float:
        """The peak learning rate of training by rewards; auto is a tenth of the other one."""
        given = self.grpo.learning_rate
        return self.learning_rate / 10 if given == "auto" else given

    def in_use(self) -> dict[str, Any]:
        """The section as it bears on the adapter: without what its method does not read."""
        return self.supervised() if self.method == "sft" else self.model_dump()

    def supervised(self) -> dict[str, Any]:
        """The section as it bears on supervised training."""
        return self.model_dump(exclude={"method", "grpo"})

    @model_validator(mode="after")
    def _can_work(self) -> Self:
        _refuse_sharded_quantization(self)
        _refuse_uncomparable_checkpoints(self)
        _refuse_what_rewards_cannot_do(self)
        return self


def missing_here(params: TrainParams) -> str:
    """What this machine lacks to train so, with the way out; empty if it lacks nothing.

    This is no part of the validation: params.yaml may be written on a laptop for a GPU server.
    """
    if params.optim == "paged_adamw_8bit" or params.quantization != "none":
        wanted = params.optim if params.quantization == "none" else params.quantization
        if find_spec("bitsandbytes") is None:
            way_out = "pip install -c constraints.txt -e '.[gpu]'"
            return gettext(
                "{wanted} needs bitsandbytes, which is not installed here; {way_out}",
                wanted=wanted,
                way_out=way_out,
            )
    if params.attn_implementation == "flash_attention_2" and find_spec("flash_attn") is None:
        return gettext(
            "attn_implementation flash_attention_2 needs the package flash-attn; set it to sdpa"
        )
    if "deepspeed" in params.launcher and find_spec("deepspeed") is None:
        return gettext(
            "launcher {launcher!r} needs deepspeed; pip install deepspeed", launcher=params.launcher
        )
    if params.precision == "fp16":
        # torch takes seconds to load, and no other setting needs it here.
        import torch

        if not torch.cuda.is_available():
            return gettext(
                "precision fp16 needs a GPU, since its gradients are scaled there; set it to bf16,"
                " fp32 or auto"
            )
    return ""


def refuse_missing(params: TrainParams, task: str, path: Path = PARAMS_FILE) -> None:
    """Raise ParamsError if this machine cannot train a task as params.yaml says."""
    if missing := missing_here(params):
        raise ParamsError(
            "{path}: train ({task}): {missing}", path=path, task=task, missing=missing
        )


def _refuse_sharded_quantization(params: TrainParams) -> None:
    is_sharded = "fsdp" in params.launcher or "deepspeed" in params.launcher
    if params.quantization != "none" and is_sharded:
        raise ValueError(
            gettext(
                "quantization {quantization} cannot be sharded by {launcher!r}; set launcher to"
                " torchrun --nproc_per_node=N, which keeps a whole copy on each device",
                quantization=params.quantization,
                launcher=params.launcher,
            )
        )
    if params.optim == "paged_adamw_8bit" and is_sharded:
        raise ValueError(
            gettext(
                "optim paged_adamw_8bit cannot be sharded by {launcher!r}; set optim to"
                " adamw_torch_fused",
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
                " a tenth of that, since rewards are noisy",
                rate=params.reward_learning_rate,
                most=params.learning_rate,
            )
        )
    if "fsdp" in params.launcher or "deepspeed" in params.launcher:
        raise ValueError(
            gettext(
                "method grpo writes texts between its steps, for which weights that are sharded by"
                " {launcher!r} would do no good; set launcher to python or torchrun"
                " --nproc_per_node=N",
                launcher=params.launcher,
            )
        )
