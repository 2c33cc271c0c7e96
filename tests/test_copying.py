"""Copying, held against a search of all substrings."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wenmo.scoring import copying
from wenmo.scoring.copying import Copied, copied, suffix_array
from wenmo.text.characters import without_space

# Few different characters, so that much is in common.
TEXT = st.text("雪山人。 \n𠀀", max_size=40)
ALPHABET = [chr(0x4E00 + number) for number in range(2000)]


def prose(length: int, seed: int) -> str:
    return "".join(random.Random(seed).choices(ALPHABET, k=length))


def brute_force(text: str, training: list[str]) -> Copied:
    text, learnt = without_space(text), [without_space(each) for each in training]

    def stands(part: str) -> bool:
        return any(part in each for each in learnt)

    longest = max(
        (
            end - start
            for start in range(len(text))
            for end in range(start + 1, len(text) + 1)
            if stands(text[start:end])
        ),
        default=0,
    )
    parts = [text[at : at + 13] for at in range(len(text) - 12)]
    return Copied(longest, sum(map(stands, parts)) / len(parts) if parts else 0.0)


@given(st.lists(TEXT, max_size=4), st.lists(TEXT, max_size=4))
def test_what_is_found_is_what_a_search_of_all_substrings_finds(
    texts: list[str], training: list[str]
) -> None:
    expected = [brute_force(text, training) for text in texts]
    for result, oracle in zip(copied(texts, training), expected, strict=True):
        assert result.longest == oracle.longest
        assert result.coverage == pytest.approx(oracle.coverage)


@given(st.lists(st.integers(0, 3), max_size=60), st.sampled_from([1, 0x10FFFF]))
def test_suffixes_are_sorted(numbers: list[int], base: int) -> None:
    codes = np.array([base - number for number in numbers if base >= number], dtype=np.uint32)
    expected = sorted(range(len(codes)), key=lambda at: codes[at:].tolist())
    assert suffix_array(codes).tolist() == expected


def test_a_system_that_copies_the_training_text_is_flagged() -> None:
    training = [prose(800, seed) for seed in range(20)]
    copies = [text[100:700] for text in training]
    own = [prose(600, seed) for seed in range(100, 120)]
    results = copied([*copies, *own], training)
    assert all(each.flagged and each == Copied(600, 1.0) for each in results[:20])
    assert not any(each.flagged for each in results[20:])


def test_thirty_characters_in_a_long_text_are_copying_and_twelve_are_not() -> None:
    training = prose(500, 1)
    thirty, twelve = copied(
        [prose(5000, 2) + training[50 : 50 + n] + prose(5000, 3) for n in (30, 12)], [training]
    )
    assert thirty.longest == 30
    assert thirty.coverage < 0.01
    assert thirty.flagged
    assert twelve.longest == 12
    assert twelve.coverage == 0
    assert not twelve.flagged


def test_many_short_quotes_are_copying() -> None:
    training = prose(500, 1)
    quotes = [training[at : at + 15] for at in range(0, 300, 30)]
    (result,) = copied(
        ["".join(quote + prose(20, at) for at, quote in enumerate(quotes))], [training]
    )
    assert result.longest < 30
    assert result.flagged


def test_white_space_neither_hides_a_copy_nor_makes_one() -> None:
    training = prose(60, 1)
    (copy,) = copied(["\n".join(training)], ["　" + training[:30] + "\n" + training[30:]])
    assert copy.longest == 60
    # The end of one training text and the beginning of the next are no text.
    (across,) = copied([training], [training[:30], training[30:]])
    assert across.longest == 30


def test_nothing_is_copied_by_silence_or_from_nothing() -> None:
    assert copied(["", " \n", "雪"], []) == [Copied(0, 0.0)] * 3
    assert copied(["", " \n"], ["雪山"]) == [Copied(0, 0.0)] * 2
    assert copied([], ["雪山"]) == []


@given(st.lists(TEXT, max_size=4), st.lists(TEXT, max_size=6), st.integers(1, 60))
def test_training_texts_that_are_sorted_in_parts_give_the_same(
    texts: list[str], training: list[str], together: int
) -> None:
    whole = copied(texts, training)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(copying, "SORTED_TOGETHER", together)
        assert copied(texts, training) == whole
