"""Keys and values of the tokens so far, in buffers with room for more.

transformers' own cache copies all of them for each new token, which took a quarter of a tiny
model's time on a CPU.
"""

from typing import TYPE_CHECKING, Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

if TYPE_CHECKING:
    from transformers import PretrainedConfig

ROOM = 64
"""Tokens for which a new buffer has more room than it needs."""


class RoomyLayer(DynamicLayer):  # type: ignore[misc]
    """One layer's keys and values, of shape (rows, heads, tokens, width): views of its buffers."""

    keys: torch.Tensor
    values: torch.Tensor
    buffers: tuple[torch.Tensor, torch.Tensor] | None = None

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Take in the states of the next tokens; returns all that there are then."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        start = self.get_seq_length()
        end = start + key_states.shape[-2]
        if self.buffers is None or self.buffers[0].shape[-2] < end:
            self.buffers = (
                _with_room(self.keys, key_states, start, end + ROOM),
                _with_room(self.values, value_states, start, end + ROOM),
            )
        keys, values = self.buffers
        keys[:, :, start:end] = key_states
        values[:, :, start:end] = value_states
        self.keys, self.values = keys[:, :, :end], values[:, :, :end]
        return self.keys, self.values

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Go on with these rows alone; the next token gets them buffers of their own."""
        super().batch_select_indices(indices)
        self.buffers = None


def new_cache(config: "PretrainedConfig") -> DynamicCache:
    """An empty cache; layers that see a window or a state alone are left to transformers."""
    cache = DynamicCache(config=config)
    cache.layers = [
        RoomyLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers
    ]
    return cache


def _with_room(before: torch.Tensor, new: torch.Tensor, filled: int, tokens: int) -> torch.Tensor:
    rows, heads, _, width = new.shape
    buffer = new.new_empty(rows, heads, tokens, width)
    if filled:
        buffer[:, :, :filled] = before
    return buffer
