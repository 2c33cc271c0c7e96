"""Sampling each row's next token with random numbers of its own.

transformers' own sampling takes the numbers of all rows from one generator, so that a row's text
would depend on the other rows of the batch. It also sorts the whole vocabulary at each step, which
takes longer than a tiny model's forward pass.
"""

from collections.abc import Sequence

import torch

from wenmo.config.generate import Sampling

TRIES = 32
"""Random numbers per token. Each refusal leaves about half of the candidates, so 32 suffice."""


def random_numbers(seeds: Sequence[int], tokens: int) -> torch.Tensor:
    """Uniform numbers of shape (rows, tokens, TRIES), each row's from its own seed."""
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    return torch.stack([torch.rand(tokens, TRIES, generator=each) for each in generators])


def penalised(scores: torch.Tensor, seen: torch.Tensor, penalty: float) -> torch.Tensor:
    """Scores (rows, vocabulary) with a repetition penalty on tokens seen in prompt or answer.

    CTRL's penalty, as in transformers and vLLM (https://arxiv.org/abs/1909.05858, section 4.1).
    """
    lowered = torch.where(scores < 0, scores * penalty, scores / penalty)
    return torch.where(seen, lowered, scores)


def next_tokens(scores: torch.Tensor, numbers: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    """One token per row, from scores (rows, vocabulary) and random numbers (rows, TRIES).

    Temperature 0 is greedy. Otherwise a token is allowed if fewer than top_k tokens are likelier
    and their probabilities add up to less than top_p. Rejection sampling needs no sorting: a token
    is drawn from all candidates and taken if it is allowed; if it is not, all allowed tokens are
    likelier, and the next draw is among the likelier ones (https://arxiv.org/abs/2501.01005,
    section 3.4). After TRIES refusals the likeliest token is taken.
    """
    if sampling.temperature == 0:
        return scores.argmax(-1)
    # In double precision, so that a device's order of summation rarely changes a draw.
    shares = torch.softmax(scores.float() / sampling.temperature, dim=-1).double()
    chosen = shares.argmax(-1)
    rows = torch.arange(len(shares), device=shares.device)
    candidates = shares
    for number in numbers.double().to(shares.device).unbind(-1):
        sums = candidates.cumsum(-1)
        places = torch.searchsorted(sums, number[rows, None] * sums[:, -1:], right=True)
        places.clamp_(max=shares.shape[1] - 1)
        drawn = candidates.gather(1, places)
        likelier = candidates > drawn
        allowed = (drawn > 0).squeeze(1)
        if sampling.top_p < 1:
            allowed &= torch.where(likelier, candidates, 0).sum(-1) < sampling.top_p
        if sampling.top_k:
            allowed &= likelier.sum(-1) < sampling.top_k
        chosen[rows[allowed]] = places[allowed].squeeze(1)
        refused = ~allowed
        if not refused.any():
            break
        rows = rows[refused]
        candidates = torch.where(likelier, candidates, 0)[refused]
    return chosen
