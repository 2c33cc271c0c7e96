"""The preallocated cache holds the same keys and values as transformers' own."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers.cache_utils import DynamicLayer

from wenmo.engines.cache import SPARE_TOKENS, PreallocatedLayer

STEPS = st.lists(
    st.one_of(
        st.integers(1, SPARE_TOKENS).map(lambda tokens: ("tokens", tokens)),
        st.lists(st.integers(0, 2), min_size=3, max_size=3).map(lambda rows: ("rows", rows)),
    ),
    min_size=1,
    max_size=12,
)


@given(st.integers(1, 2 * SPARE_TOKENS), STEPS)
def test_a_preallocated_layer_holds_what_a_copied_one_holds(
    prompt: int, steps: list[tuple[str, int | list[int]]]
) -> None:
    generator = torch.Generator().manual_seed(0)
    ours, theirs = PreallocatedLayer(), DynamicLayer()
    for kind, content in [("tokens", prompt), *steps]:
        if kind == "rows":
            rows = torch.tensor(content)
            ours.batch_select_indices(rows)
            theirs.batch_select_indices(rows)
            continue
        keys, values = torch.rand(2, 3, 2, content, 4, generator=generator)
        for found, expected in zip(
            ours.update(keys, values), theirs.update(keys, values), strict=True
        ):
            assert torch.equal(found, expected)
        assert ours.get_seq_length() == theirs.get_seq_length()


def test_a_token_that_fits_is_written_without_copying_the_others() -> None:
    layer = PreallocatedLayer()
    keys, _ = layer.update(*torch.rand(2, 1, 1, 5, 4))
    place = keys.data_ptr()
    for _ in range(SPARE_TOKENS):
        keys, _ = layer.update(*torch.rand(2, 1, 1, 1, 4))
        assert keys.data_ptr() == place
    keys, _ = layer.update(*torch.rand(2, 1, 1, 1, 4))
    assert keys.data_ptr() != place
