import random
import sys

import pytest

from wenmo.core.errors import UserError
from wenmo.scoring.compat import NAMES, llama_factory, ms_swift

TEXTS = ["小猫去河边钓鱼。它很高兴。", "", "月亮上有一只兔子"]
REFERENCES = ["小猫在河边钓到一条大鱼。它很高兴。", "从前有一只小猫。", "月亮里住着一只兔子。"]


@pytest.fixture
def words() -> None:
    for name in ("jieba", "nltk", "rouge", "rouge_chinese"):
        pytest.importorskip(name, reason="extra `compat` is not installed")


@pytest.mark.usefixtures("words")
def test_the_numbers_are_those_of_the_released_functions() -> None:
    # Printed by ComputeSimilarity of llamafactory 0.9.5 and compute_rouge_bleu of ms-swift 4.6.0
    # and, without the empty row, 4.5.0, as installed from PyPI.
    assert llama_factory(TEXTS, REFERENCES) == pytest.approx(
        {"rouge-1": 38.8889, "rouge-2": 21.4814667, "rouge-l": 40.0, "bleu-4": 25.9497333}
    )
    assert ms_swift(TEXTS, REFERENCES) == pytest.approx(
        {"rouge-1": 38.888889, "rouge-2": 21.481481, "rouge-l": 38.888889, "bleu-4": 18.241294}
    )
    assert ms_swift(TEXTS, REFERENCES, skip_empty=True) == pytest.approx(
        {"rouge-1": 58.333333, "rouge-2": 32.222222, "rouge-l": 58.333333, "bleu-4": 27.361941}
    )


@pytest.mark.usefixtures("words")
@pytest.mark.parametrize("text", ["", " \n", "。", "..", "."])
def test_a_text_without_words_scores_0_and_raises_nothing(text: str) -> None:
    zeros = dict.fromkeys(NAMES, 0.0)
    assert llama_factory([text], ["雪山"]) == zeros
    assert ms_swift([text], ["雪山"]) == zeros
    assert ms_swift([""], ["雪山"], skip_empty=True) == zeros


@pytest.mark.usefixtures("words")
def test_long_texts_are_scored() -> None:
    draw = random.Random(1)
    text, reference = (
        "".join(chr(0x4E00 + draw.randrange(500)) for _ in range(2000)) for _ in "ab"
    )
    limit = sys.getrecursionlimit()
    assert ms_swift([text], [reference])["rouge-l"] > 0
    assert sys.getrecursionlimit() == limit


def test_what_is_missing_is_named_with_the_way_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jieba", None)
    with pytest.raises(UserError, match=r"need jieba.*pip install .*'\.\[compat\]'"):
        llama_factory(TEXTS, REFERENCES)
