"""A key-value cache in preallocated buffers.

transformers' own cache copies all keys and values for each new token, which took a quarter of a
tiny model's time on a CPU.
"""

from typing import TYPE_CHECKING, Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

if TYPE_CHECKING:
    from transformers import PretrainedConfig

SPARE_TOKENS = 64
"""A new buffer has room for this many further tokens."""


class PreallocatedLayer(DynamicLayer):  # type: ignore[misc]
    """One layer's keys and values, of shape (rows, heads, tokens, width): views of its buffers."""

    keys: torch.Tensor
    values: torch.Tensor
    buffers: tuple[torch.Tensor, torch.Tensor] | None = None

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append the states of the next tokens; returns those of all tokens."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        start = self.get_seq_length()
        end = start + key_states.shape[-2]
        if self.buffers is None or self.buffers[0].shape[-2] < end:
            self.buffers = (
                _larger_buffer(self.keys, key_states, start, end + SPARE_TOKENS),
                _larger_buffer(self.values, value_states, start, end + SPARE_TOKENS),
            )
        keys, values = self.buffers
        keys[:, :, start:end] = key_states
        values[:, :, start:end] = value_states
        self.keys, self.values = keys[:, :, :end], values[:, :, :end]
        return self.keys, self.values

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Keep these rows alone; the next token copies them into new buffers."""
        super().batch_select_indices(indices)
        self.buffers = None


def new_cache(config: "PretrainedConfig") -> DynamicCache:
    """An empty cache; sliding-window and linear-attention layers stay those of transformers."""
    cache = DynamicCache(config=config)
    cache.layers = [
        PreallocatedLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers
    ]
    return cache


def _larger_buffer(
    before: torch.Tensor, new: torch.Tensor, filled: int, tokens: int
) -> torch.Tensor:
    rows, heads, _, width = new.shape
    buffer = new.new_empty(rows, heads, tokens, width)
    if filled:
        buffer[:, :, :filled] = before
    return buffer
