"""Sampling a token: the distribution is that of transformers' own filters."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from tests.small_generation import settings
from wenmo.config.generate import Sampling
from wenmo.engines.sampling import next_tokens, penalised, random_numbers

VOCABULARY = 60
DRAWS = 20_000


def sampling(**update: Any) -> Sampling:
    plain = {"temperature": 1.0, "top_p": 1.0, "top_k": 0}
    return settings(sampling=plain | update).sampling


def expected_shares(scores: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    """The distribution after transformers' own filters."""
    left = TemperatureLogitsWarper(sampling.temperature)(None, scores)
    if sampling.top_k:
        left = TopKLogitsWarper(sampling.top_k)(None, left)
    if sampling.top_p < 1:
        left = TopPLogitsWarper(sampling.top_p)(None, left)
    return torch.softmax(left, dim=-1)


@pytest.mark.parametrize(
    "filters",
    [
        {},
        {"temperature": 0.5},
        {"top_p": 0.9},
        {"top_p": 0.3},
        {"top_k": 5},
        {"top_k": 1},
        {"top_p": 0.9, "temperature": 0.7},
        {"top_p": 0.01},
    ],
    ids=str,
)
@pytest.mark.parametrize("sharpness", [0.1, 2.0])
def test_tokens_have_the_probabilities_of_transformers(
    filters: dict[str, Any], sharpness: float
) -> None:
    asked = sampling(**filters)
    scores = torch.randn(1, VOCABULARY, generator=torch.Generator().manual_seed(3)) * sharpness
    numbers = random_numbers([1], DRAWS)[0]
    tokens = next_tokens(scores.expand(DRAWS, -1), numbers, asked)
    found = torch.bincount(tokens, minlength=VOCABULARY) / DRAWS
    expected = expected_shares(scores, asked)[0]
    assert not (found > 0)[expected == 0].any()
    # Twice what chance explains: 60 shares of 20,000 draws are off by about 0.02 in all.
    assert (found - expected).abs().sum() < 0.06


@given(
    scores=st.lists(st.floats(-8, 8, width=32), min_size=2, max_size=20),
    seed=st.integers(0, 2**63 - 1),
    top_k=st.integers(0, 4),
    top_p=st.floats(0.05, 1),
)
def test_a_row_draws_the_same_alone_and_among_others(
    scores: list[float], seed: int, top_k: int, top_p: float
) -> None:
    asked = sampling(top_k=top_k, top_p=top_p)
    row = torch.tensor([scores])
    others = torch.randn(3, len(scores), generator=torch.Generator().manual_seed(1))
    numbers = random_numbers([seed, 1, 2, 3], 1)[:, 0]
    alone = next_tokens(row, numbers[:1], asked)
    together = next_tokens(torch.cat([row, others]), numbers, asked)
    assert alone[0] == together[0]


def test_temperature_0_is_greedy() -> None:
    scores = torch.tensor([[0.0, 3.0, 1.0], [2.0, 1.0, 0.0]])
    numbers = random_numbers([1, 2], 1)[:, 0]
    assert next_tokens(scores, numbers, sampling(temperature=0.0)).tolist() == [1, 0]


def test_the_repetition_penalty_is_that_of_ctrl() -> None:
    scores = torch.tensor([[2.0, -2.0, 1.0]])
    seen = torch.tensor([[True, True, False]])
    assert penalised(scores, seen, 2.0).tolist() == [[1.0, -4.0, 1.0]]
