"""Verse by rule in vLLM: a logits processor that each process of the engine loads by its name.

Source of the interface: https://docs.vllm.ai/en/stable/design/logits_processors/
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from vllm.v1.sample.logits_processor import AdapterLogitsProcessor

from wenmo.engines.verse_masks import VerseMasks
from wenmo.engines.verse_rows import open_store
from wenmo.model.loading import end_tokens, load_tokenizer
from wenmo.text.asked_verse import Verse

if TYPE_CHECKING:
    from vllm.config import VllmConfig
    from vllm.sampling_params import SamplingParams


class VerseRequest:
    """The masks of one request, whose output it follows."""

    def __init__(self, masks: VerseMasks, max_new_tokens: int) -> None:
        self.masks, self.limit = masks, max_new_tokens
        self.position, self.read = masks.start, 0

    def __call__(self, output_ids: Sequence[int], logits: torch.Tensor) -> torch.Tensor:
        """The scores (vocabulary,) of the next token, without the tokens that are not allowed."""
        for token in output_ids[self.read :]:
            self.position = self.masks.after(self.position, token)
        self.read = len(output_ids)
        allowed = self.masks.allowed(self.position, self.limit - self.read)
        return logits.masked_fill(~torch.from_numpy(allowed).to(logits.device), float("-inf"))


class VerseProcessor(AdapterLogitsProcessor):  # type: ignore[misc]
    """Masks the requests whose `extra_args` have a `verse`."""

    def __init__(
        self, vllm_config: "VllmConfig", device: torch.device, is_pin_memory: bool
    ) -> None:
        super().__init__(vllm_config, device, is_pin_memory)
        folder, size = Path(vllm_config.model_config.model), vllm_config.model_config
        self.store = open_store(load_tokenizer(folder), size.get_vocab_size(), end_tokens(folder))

    def is_argmax_invariant(self) -> bool:
        """Whether greedy decoding is unchanged."""
        return False

    def new_req_logits_processor(self, params: "SamplingParams") -> VerseRequest | None:
        """The masks of a request, or None if it asks for no verse by rule."""
        asked: dict[str, Any] | None = (params.extra_args or {}).get("verse")
        if not asked:
            return None
        rhyme = tuple(asked["rhyme"]) if asked["rhyme"] else None
        return VerseRequest(
            VerseMasks(Verse(**asked | {"rhyme": rhyme}), self.store), params.max_tokens or 0
        )
