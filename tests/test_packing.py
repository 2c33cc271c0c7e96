"""Packed rows do not see each other, or packing is refused: for each architecture of a preset."""

from pathlib import Path

import pytest
import torch

from tests.small_models import ARCHITECTURES, random_weight_model
from tests.small_training import fit
from wenmo.core.errors import UserError
from wenmo.model.loading import load_model
from wenmo.model.packing import refuse_mixed_rows

FIRST, SECOND = 20, 15


def is_refused(folder: Path) -> bool:
    try:
        refuse_mixed_rows(folder)
    except UserError:
        return True
    return False


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_packing_is_refused_exactly_where_a_row_sees_the_one_before(
    tmp_path: Path, tiny_model: Path, name: str
) -> None:
    folder = random_weight_model(tmp_path, name, tiny_model)
    model = load_model(folder, "fp32").eval()
    first, second = torch.randint(9, 900, (2, 1, FIRST))
    second = second[:, :SECOND]
    ours, theirs = torch.arange(FIRST), torch.arange(SECOND)
    with torch.no_grad():
        alone = model(second, position_ids=theirs[None], use_cache=False).logits
        packed = model(
            torch.cat([first, second], 1),
            position_ids=torch.cat([ours, theirs])[None],
            use_cache=False,
        ).logits[:, FIRST:]
    assert is_refused(folder) is not torch.allclose(alone, packed, atol=1e-4)


def test_training_refuses_it_in_one_line_before_it_begins(tmp_path: Path, tiny_model: Path) -> None:
    base = random_weight_model(tmp_path / "base", "Qwen3.5-4B", tiny_model)
    with pytest.raises(UserError, match=r"train\.packing: .* linear_attention .*to false$") as said:
        fit(base, tmp_path, packing=True)
    assert "\n" not in str(said.value)
    assert not (tmp_path / "adapter").exists()
