"""What a training cost: speed, utilisation, memory and the hardware that it ran on."""

import platform
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from wenmo.core.language import gettext
from wenmo.core.processes import peak_mebibytes

if TYPE_CHECKING:
    import torch
    from transformers import TrainerCallback
    from trl import SFTTrainer

CEILING_SECONDS = 0.3

PROFILED_STEPS = range(3, 6)
"""The steps of a process whose kernels are counted; those before warm up."""


def measured_trainer() -> "type[SFTTrainer]":
    """TRL's trainer, which also counts the seconds that it waits for rows (`data_seconds`).

    It draws the order of millions of rows in little memory.
    """
    from torch.utils.data import RandomSampler
    from trl import SFTTrainer

    from wenmo.model.row_order import RowOrder

    class MeasuredTrainer(SFTTrainer):  # type: ignore[misc]
        data_seconds = 0.0

        def get_batch_samples(self, *arguments: Any, **options: Any) -> Any:
            started = time.monotonic()
            found = super().get_batch_samples(*arguments, **options)
            self.data_seconds += time.monotonic() - started
            return found

        def _get_train_sampler(self, *arguments: Any, **options: Any) -> Any:
            found = super()._get_train_sampler(*arguments, **options)
            if type(found) is RandomSampler:
                return RowOrder(len(found), self.args.data_seed)
            return found

    return MeasuredTrainer


def idle_callback() -> "TrainerCallback":
    """What finds the share of time in which a GPU computes nothing, for the host or for data.

    `idle` is that share of a few steps, or None without a GPU or after fewer steps.
    """
    import torch
    from transformers import TrainerCallback

    class Idle(TrainerCallback):  # type: ignore[misc]
        idle: float | None = None
        steps = 0
        profiler: torch.profiler.profile | None = None

        def on_step_begin(self, *_: Any, **__: Any) -> None:
            self.steps += 1
            if self.steps == PROFILED_STEPS.start and torch.cuda.is_available():
                torch.cuda.synchronize()
                activities = [torch.profiler.ProfilerActivity.CUDA]
                self.profiler = torch.profiler.profile(activities=activities)
                self.profiler.start()
                self.started = time.monotonic()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            if self.profiler and self.steps == PROFILED_STEPS[-1]:
                torch.cuda.synchronize()
                seconds = time.monotonic() - self.started
                self.profiler.stop()
                kernels = sum(e.self_device_time_total for e in self.profiler.key_averages())
                self.idle = max(0.0, 1 - kernels / 1e6 / seconds)
                self.profiler = None

    return Idle()


def training_cost(trainer: Any, seconds: float, idle: float | None) -> dict[str, Any]:
    """The cost of this process's part of a training, for logs/train/<task>.json.

    Tokens are those of the sequences without padding, over all devices. Utilisation is model FLOPs
    a second over what a large matrix product reaches on the same device in the same number format.
    `data_wait` is the share of time in which the trainer waited for rows, and `device_idle` that in
    which a GPU waited for the host or for rows (None: not measured). `distribution` is accelerate's
    name for how devices share the work, such as FSDP.
    """
    # Like the seconds, tokens count from where a resumed training went on.
    tokens = trainer._total_train_tokens
    devices = trainer.args.world_size
    dtype = trainer.model.dtype
    rate = tokens / seconds
    ceiling = matrix_product_flops(trainer.args.device, dtype)
    flops = rate / devices * flops_per_token(trainer)
    return {
        "train_seconds": round(seconds, 2),
        "tokens_per_second": round(rate, 1),
        "model_flops_per_second": round(flops),
        "matrix_product_flops_per_second": round(ceiling),
        "utilisation": round(flops / ceiling, 4),
        "data_wait": round(trainer.data_seconds / seconds, 4),
        "device_idle": None if idle is None else round(idle, 4),
        "peak_device_mebibytes": peak_device_mebibytes(),
        "devices": devices,
        "distribution": str(trainer.accelerator.distributed_type.value),
        "hardware": hardware(),
        "number_format": str(dtype).removeprefix("torch."),
    }


def cost_in_words(cost: Mapping[str, Any]) -> str:
    """What `training_cost` measured, as one line for the end of the stage."""
    told = gettext(
        "{rate:,.0f} tokens per second, {utilisation:.0%} of what this device's matrix products"
        " reach; at most {memory:,} MiB; {wait:.1%} of the time waiting for rows",
        rate=cost["tokens_per_second"],
        utilisation=cost["utilisation"],
        memory=cost["peak_device_mebibytes"],
        wait=cost["data_wait"],
    )
    if cost["device_idle"] is not None:
        told += gettext("; the GPU idle for {idle:.1%}", idle=cost["device_idle"])
    return told


def flops_per_token(trainer: "SFTTrainer") -> float:
    """Model FLOPs of one token's forward and backward pass with an adapter.

    2 a weight forward and 2 backward for the gradient of its input; frozen weights need no gradient
    of their own, the adapter's need 2 more. Embeddings are looked up, not multiplied; attention
    scores and recomputed activations are not counted (Kaplan et al. 2020, section 2.1,
    https://arxiv.org/abs/2001.08361).
    """
    from torch import nn

    products = [each for each in trainer.model.modules() if isinstance(each, nn.Linear)]
    return float(
        sum(
            (6 if each.weight.requires_grad else 4) * each.in_features * each.out_features
            for each in products
        )
    )


def matrix_product_flops(device: "torch.device", dtype: "torch.dtype") -> float:
    """FLOPs a second of square matrix products, the most that a model could reach."""
    import torch

    size = 8192 if device.type == "cuda" else 1024
    one, other = (torch.ones(size, size, device=device, dtype=dtype) for _ in range(2))
    products, started = 0, time.monotonic()
    while time.monotonic() - started < CEILING_SECONDS:
        one @ other
        if device.type == "cuda":
            torch.cuda.synchronize()
        products += 1
    return products * 2 * size**3 / (time.monotonic() - started)


def peak_device_mebibytes() -> int:
    """The most memory that was in use: the GPU's where there is one, else the process's."""
    import torch

    if torch.cuda.is_available():
        return round(torch.cuda.max_memory_allocated() / 2**20)
    return peak_mebibytes()


def hardware() -> str:
    """The device's name."""
    import torch

    if torch.cuda.is_available():
        return str(torch.cuda.get_device_name())
    return f"{platform.machine()} CPU, {torch.backends.cpu.get_cpu_capability()}"
