"""What a training cost: speed, utilisation, memory and the hardware that it ran on."""

import platform
import time
from typing import TYPE_CHECKING, Any

from wenmo.core.processes import peak_mebibytes

if TYPE_CHECKING:
    import torch
    from trl import SFTTrainer

CEILING_SECONDS = 0.3


def training_cost(trainer: "SFTTrainer", seconds: float) -> dict[str, Any]:
    """The cost of this process's part of a training, for logs/train/<task>.json.

    Tokens are those of the sequences without padding, over all devices. Utilisation is model FLOPs
    a second over what a large matrix product reaches on the same device in the same number format.
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
        "peak_device_mebibytes": peak_device_mebibytes(),
        "devices": devices,
        "hardware": hardware(),
        "number_format": str(dtype).removeprefix("torch."),
    }


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
