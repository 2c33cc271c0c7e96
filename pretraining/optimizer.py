"""Muon for the matrices of the layers, AdamW for embeddings and norms.

Muon: Keller Jordan et al. (2024), https://kellerjordan.github.io/posts/muon/. torch.optim.Muon
computes in bfloat16 whatever the device, which a CPU without bf16 units does seventy times slower
than fp32; this one computes in the dtype of the gradient.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch

# The quintic Newton-Schulz iteration of Muon's authors.
A, B, C = 3.4445, -4.7750, 2.0315
ITERATIONS = 5
MOMENTUM = 0.95


class Muon(torch.optim.Optimizer):
    """Momentum, whose update is the nearest orthogonal matrix.

    The update is scaled by 0.2 times the square root of the longer side, so that AdamW's learning
    rates fit (Liu et al. 2025, https://arxiv.org/abs/2502.16982, section 2.2).
    """

    def __init__(self, matrices: Iterable[torch.nn.Parameter], lr: float, weight_decay: float):
        super().__init__(matrices, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Change the matrices by their gradients; `closure` is not called."""
        for group in self.param_groups:
            for matrix in group["params"]:
                state: dict[str, Any] = self.state[matrix]
                if not state:
                    state["momentum"] = torch.zeros_like(matrix)
                momentum = state["momentum"].lerp_(matrix.grad, 1 - MOMENTUM)
                update = orthogonal(matrix.grad.lerp(momentum, MOMENTUM))
                matrix.mul_(1 - group["lr"] * group["weight_decay"])
                matrix.add_(update, alpha=-group["lr"] * 0.2 * max(matrix.shape) ** 0.5)


def orthogonal(matrix: torch.Tensor) -> torch.Tensor:
    """About the nearest matrix with orthogonal rows or columns, of the same shape."""
    wide = matrix.shape[0] <= matrix.shape[1]
    x = matrix if wide else matrix.T
    x = x / (x.norm() + 1e-7)
    for _ in range(ITERATIONS):
        square = x @ x.T
        x = A * x + (B * square + C * square @ square) @ x
    return x if wide else x.T


def optimizers(model: torch.nn.Module, learning_rate: float) -> list[torch.optim.Optimizer]:
    """Muon and AdamW over all parameters of a model."""
    layers, rest = [], []
    for name, parameter in model.named_parameters():
        (layers if parameter.ndim == 2 and ".layers." in name else rest).append(parameter)
    return [
        Muon(layers, lr=learning_rate, weight_decay=0.1),
        torch.optim.AdamW(rest, lr=learning_rate, betas=(0.9, 0.95), weight_decay=0.0),
    ]
