"""Decoding a batch of prompts token by token; a row that has ended leaves the batch.

On a CPU a row's logits are bit for bit the same in any batch. For this, prompts are padded to a
multiple of PADDED_TOKENS, a batch holds prompts of one padded length, and its number of rows is a
multiple of CPU_ROWS, since OpenBLAS multiplies the rows that are left over by other code. No such
number of rows is known of GPUs.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import torch

from wenmo.config.generate import Sampling
from wenmo.engines.cache import new_cache
from wenmo.engines.engine import OnTokens, ignore
from wenmo.engines.sampling import next_tokens, penalised, random_numbers
from wenmo.engines.verse_rows import VerseRows

if TYPE_CHECKING:
    from transformers import PreTrainedModel

CPU_ROWS = 12
PADDED_TOKENS = 32
SHRINK_BELOW = 7 / 8
"""Ended rows leave the batch when at most this share of its rows would stay."""


def padded_length(tokens: int) -> int:
    """The length (tokens) to which a prompt is padded."""
    return _rounded_up(tokens, PADDED_TOKENS)


def row_multiple(device: "torch.device") -> int:
    """The number of rows of a batch is a multiple of this."""
    return CPU_ROWS if device.type == "cpu" else 1


@torch.inference_mode()
def decode(
    model: "PreTrainedModel",
    prompts: Sequence[list[int]],
    seeds: Sequence[int],
    sampling: Sampling,
    ends: frozenset[int],
    is_stopped: Callable[[list[int]], bool],
    on_tokens: OnTokens = ignore,
    verse: VerseRows | None = None,
) -> Iterator[tuple[int, list[int]]]:
    """(index of the prompt, tokens of its answer), in order of completion.

    An answer ends with a token of `ends`, when `is_stopped` is true of its tokens so far, or after
    `sampling.max_new_tokens`. All prompts must have the same padded length. `on_tokens` is called
    once per step. `verse` has the poems that are written by rule, one per prompt.
    """
    # Owner is the index of a row's prompt; rows that fill up the batch or have ended have none.
    multiple = row_multiple(model.device)
    fill = _rounded_up(len(prompts), multiple) - len(prompts)
    owners: list[int | None] = [*range(len(prompts)), *[None] * fill]
    answers: list[list[int]] = [[] for _ in prompts]
    inputs, attended = _padded([*prompts, *[prompts[0]] * fill], model.device)
    positions = (attended.cumsum(-1) - 1).clamp_min(0)
    numbers = random_numbers([*seeds, *[0] * fill], sampling.max_new_tokens)
    cache = new_cache(model.config)
    seen = None

    for step in range(sampling.max_new_tokens):
        scores = model(
            input_ids=inputs,
            attention_mask=attended,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits[:, -1]
        if sampling.repetition_penalty != 1:
            if seen is None:
                seen = torch.zeros_like(scores, dtype=torch.bool)
            # A padding token marks the prompt's last token, so that it adds nothing of its own.
            padding = attended[:, -inputs.shape[1] :] == 0
            seen.scatter_(1, torch.where(padding, inputs[:, -1:], inputs), True)
            scores = penalised(scores, seen, sampling.repetition_penalty)
        if verse:
            scores = verse.masked(scores, owners)
        tokens = next_tokens(scores, numbers[:, step], sampling)
        on_tokens(sum(owner is not None for owner in owners))

        for place, token in enumerate(tokens.tolist()):
            owner = owners[place]
            if owner is not None:
                answers[owner].append(token)
                if verse:
                    verse.wrote(owner, token)
                if token in ends or is_stopped(answers[owner]):
                    owners[place] = None
                    yield owner, answers[owner]

        kept = _kept_places(owners, multiple)
        if not kept:
            return
        if len(kept) < len(owners):
            owners = [owners[place] for place in kept]
            places = torch.tensor(kept, device=model.device)
            cache.batch_select_indices(places)
            tokens, positions, attended = tokens[places], positions[places], attended[places]
            numbers = numbers[kept]
            seen = seen[places] if seen is not None else None
        inputs, positions = tokens[:, None], positions[:, -1:] + 1
        attended = torch.cat([attended, attended.new_ones(len(attended), 1)], dim=1)

    for owner in owners:
        if owner is not None:
            yield owner, answers[owner]


def _padded(
    prompts: Sequence[list[int]], device: "torch.device"
) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and attention mask, both (prompts, padded length), padded on the left."""
    length = padded_length(len(prompts[0]))
    ids = [[0] * (length - len(prompt)) + prompt for prompt in prompts]
    mask = [[0] * (length - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device)


def _kept_places(owners: Sequence[int | None], multiple: int) -> list[int]:
    """The rows to keep: all, or those that have not ended and the rows that fill them up."""
    going_on = [place for place, owner in enumerate(owners) if owner is not None]
    size = _rounded_up(len(going_on), multiple)
    if size > SHRINK_BELOW * len(owners):
        return list(range(len(owners)))
    ended = [place for place, owner in enumerate(owners) if owner is None]
    return going_on + ended[: size - len(going_on)]


def _rounded_up(count: int, multiple: int) -> int:
    return -(-count // multiple) * multiple
