"""Quality: which texts are left out, and for which fault."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wenmo.config.prepare import QualityParams
from wenmo.text.quality import fault, han_share, repetition, vernacular_share

PARAMS = QualityParams(
    min_han_share=0.6, max_gap_share=0.005, max_repetition=0.2, min_vernacular_share=0.3
)
PROSE = "雪下了一夜，山路都白了。他推开门，看着院子里的灯，想起了去年的事。"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (PROSE, None),
        ("ABC 123 山 http", "little Han"),
        (PROSE + "□", "gaps"),
        (PROSE + "\ue003", "gaps"),
        ("雪落了，山白了。" * 8, "repetition"),
        ("山之高也，云出其下；人之行乎，雪满其衣。不知所之，惟见灯者。", "classical"),
    ],
)
def test_the_first_fault_is_named(text: str, reason: str | None) -> None:
    assert fault(text, PARAMS) == reason


@given(st.text())
def test_shares_are_shares(text: str) -> None:
    for share in (han_share, repetition, vernacular_share):
        assert 0 <= share(text) <= 1
