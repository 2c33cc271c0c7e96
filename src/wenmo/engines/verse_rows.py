"""Decoding a batch of poems by rule: each row of scores is masked by its own poem's rules."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from wenmo.core.errors import UserError
from wenmo.engines.engine import Prompt
from wenmo.engines.token_bytes import token_bytes
from wenmo.engines.verse_masks import MaskStore, Position, VerseMasks
from wenmo.engines.verse_vocabulary import VerseVocabulary
from wenmo.model.loading import end_tokens, load_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class VerseRows:
    """The poems of a batch as they are written.

    With `watch`, `forced` says for each poem and step whether the rules did not allow the token
    that the model likes best.
    """

    def __init__(
        self, masks: Sequence[VerseMasks | None], max_new_tokens: int, *, watch: bool = False
    ) -> None:
        self.masks, self.watch = masks, watch
        self.forced: list[list[bool]] = [[] for _ in masks]
        self.positions: list[Position | None] = [each.start if each else None for each in masks]
        self.left = [max_new_tokens] * len(masks)

    def masked(self, scores: torch.Tensor, owners: Sequence[int | None]) -> torch.Tensor:
        """Scores (rows, vocabulary) without the tokens that are not allowed.

        `owners` has the number of each row's poem, or None for a row that writes none.
        """
        free = np.ones(scores.shape[1], dtype=bool)
        rows = [free if owner is None else self._allowed(owner, free) for owner in owners]
        allowed = torch.from_numpy(np.stack(rows)).to(scores.device)
        if self.watch:
            liked = allowed.gather(1, scores.argmax(1, keepdim=True))[:, 0].tolist()
            for owner, is_allowed in zip(owners, liked, strict=True):
                if owner is not None:
                    self.forced[owner].append(not is_allowed)
        return scores.masked_fill(~allowed, float("-inf"))

    def wrote(self, owner: int, token: int) -> None:
        """Note a poem's next token."""
        masks, position = self.masks[owner], self.positions[owner]
        if masks and position:
            self.positions[owner] = masks.after(position, token)
            self.left[owner] -= 1

    def _allowed(self, owner: int, free: np.ndarray) -> np.ndarray:
        masks, position = self.masks[owner], self.positions[owner]
        return masks.allowed(position, self.left[owner]) if masks and position else free


def refuse_impossible(prompts: Sequence[Prompt], folder: Path, max_new_tokens: int) -> None:
    """Raise UserError for the first poem that the model in `folder` cannot write as it is asked."""
    tokenizer = load_tokenizer(folder)
    masks_of(prompts, open_store(tokenizer, len(tokenizer), end_tokens(folder)), max_new_tokens)


def open_store(
    tokenizer: "PreTrainedTokenizerBase", vocabulary: int, ends: frozenset[int]
) -> MaskStore:
    """The masks of a model whose scores are of that many tokens; none is made yet."""
    return MaskStore(VerseVocabulary(token_bytes(tokenizer, vocabulary), ends))


def masks_of(
    prompts: Sequence[Prompt], store: MaskStore, max_new_tokens: int
) -> list[VerseMasks | None]:
    """The masks of each prompt that asks for verse by rule.

    Raises UserError for the first prompt whose poem is impossible.
    """
    found: list[VerseMasks | None] = []
    for prompt in prompts:
        masks = VerseMasks(prompt.verse, store) if prompt.verse else None
        if masks and (fault := masks.fault(max_new_tokens)):
            asked = prompt.messages[-1]["content"]
            raise UserError("generate.verse: {prompt!r}: {fault}", prompt=asked[:30], fault=fault)
        found.append(masks)
    return found
