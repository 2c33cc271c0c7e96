"""Settings of `train` that are right one by one and cannot work together or on this machine."""

from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wenmo.model.training import TrainParams


def refuse_impossible(params: "TrainParams") -> None:
    """Raise ValueError with the reason and the way out for the first that cannot work."""
    _refuse_missing_packages(params)
    _refuse_precision_without_hardware(params)
    _refuse_sharded_quantization(params)
    _refuse_uncomparable_checkpoints(params)


def _refuse_missing_packages(params: "TrainParams") -> None:
    wants_bitsandbytes = params.quantization != "none" or params.optim == "paged_adamw_8bit"
    if wants_bitsandbytes and find_spec("bitsandbytes") is None:
        wanted = params.quantization if params.quantization != "none" else params.optim
        raise ValueError(
            f"{wanted} needs bitsandbytes, which is not installed here; pip install -e '.[gpu]'"
        )
    if params.attn_implementation == "flash_attention_2" and find_spec("flash_attn") is None:
        raise ValueError(
            "attn_implementation flash_attention_2 needs the package flash-attn; set it to sdpa"
        )
    if "deepspeed" in params.launcher and find_spec("deepspeed") is None:
        raise ValueError(f"launcher {params.launcher!r} needs deepspeed; pip install deepspeed")


def _refuse_precision_without_hardware(params: "TrainParams") -> None:
    if params.precision != "fp16":
        return
    # Only here, since torch takes seconds to load.
    import torch

    if not torch.cuda.is_available():
        raise ValueError(
            "precision fp16 needs a GPU, since its gradients are scaled there;"
            " set it to bf16, fp32 or auto"
        )


def _refuse_sharded_quantization(params: "TrainParams") -> None:
    is_sharded = "fsdp" in params.launcher or "deepspeed" in params.launcher
    if params.quantization != "none" and is_sharded:
        raise ValueError(
            f"quantization {params.quantization} cannot be sharded by {params.launcher!r};"
            " set launcher to torchrun --nproc_per_node=N, which keeps a whole copy on each device"
        )
    if params.optim == "paged_adamw_8bit" and is_sharded:
        raise ValueError(
            f"optim paged_adamw_8bit cannot be sharded by {params.launcher!r};"
            " set optim to adamw_torch_fused"
        )


def _refuse_uncomparable_checkpoints(params: "TrainParams") -> None:
    if not params.load_best_model_at_end:
        return
    if params.save_strategy != params.eval_strategy:
        raise ValueError(
            "load_best_model_at_end needs a held-out loss for each checkpoint:"
            " set save_strategy and eval_strategy alike"
        )
    if params.save_strategy == "steps" and params.save_steps % params.eval_steps:
        raise ValueError(
            "load_best_model_at_end needs a held-out loss for each checkpoint:"
            f" save_steps ({params.save_steps}) is no multiple of eval_steps ({params.eval_steps})"
        )
