"""The loss of one answer, in as large pieces as the memory holds."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wenmo.core.errors import UserError
from wenmo.core.language import gettext

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


@dataclass
class AnswerLoss:
    """How surprised a model is by answers, each read alone.

    The scores of a long answer take most of the memory: 2,000 tokens have 1.2 GB of them in single
    precision over a vocabulary of 150,000, and the loss needs a copy. When they do not fit, the
    model reads the answer once per piece of `positions` tokens, and later answers alike. Pieces
    give the same loss up to rounding, so an answer that fits is read whole.
    """

    model: "PreTrainedModel"
    positions: int = sys.maxsize

    def nats(self, prompt: Sequence[int], answer: Sequence[int]) -> float:
        """-log p(answer | prompt) of token ids. Raises UserError if no token's scores fit."""
        from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size

        while True:
            try:
                return self._in_pieces(prompt, answer)
            except Exception as error:
                if not should_reduce_batch_size(error):
                    raise
                self._halve(len(answer))
            # After the handler, since the traceback keeps the scores alive.
            clear_device_cache(garbage_collection=True)

    def _in_pieces(self, prompt: Sequence[int], answer: Sequence[int]) -> float:
        import torch

        ids = torch.tensor([[*prompt, *answer]], device=self.model.device)
        # The scores at a position are those of the next token.
        first, last = len(prompt) - 1, len(prompt) + len(answer) - 1
        with torch.inference_mode():
            if self.positions >= len(answer):
                return _nats(self.model(input_ids=ids).logits[0, first:last], ids[0, first + 1 :])
            pieces = torch.split(torch.arange(first, last, device=ids.device), self.positions)
            return sum(
                _nats(
                    self.model(input_ids=ids, logits_to_keep=piece, use_cache=False).logits[0],
                    ids[0, piece + 1],
                )
                for piece in pieces
            )

    def _halve(self, length: int) -> None:
        from tqdm import tqdm

        failed = min(self.positions, length)
        if failed == 1:
            raise UserError(
                "out of memory for the held-out loss of a text of {length} tokens; set"
                " generate.precision to bf16, or hold out shorter texts",
                length=length,
            )
        self.positions = failed // 2
        tqdm.write(
            gettext(
                "out of memory with the scores of {failed} tokens; going on with {next}",
                failed=failed,
                next=self.positions,
            ),
            file=sys.stderr,
        )


def _nats(scores: "torch.Tensor", tokens: "torch.Tensor") -> float:
    """-log p of `tokens`, of shape (tokens,), by `scores`, of shape (tokens, vocabulary)."""
    import torch

    return torch.nn.functional.cross_entropy(scores.float(), tokens, reduction="sum").item()
