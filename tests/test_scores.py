"""The scores of texts, held against rouge-score and sacrebleu or against their definitions."""

import random
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenizers import Tokenizer
from sacrebleu.metrics.bleu import BLEU

from wenmo.scoring.ending import ends_properly
from wenmo.scoring.fairytale import common_share, has_ending, sentence_length
from wenmo.scoring.length import length_score
from wenmo.scoring.overlap import (
    bleu,
    chrf,
    rouge_l,
    rouge_n,
    row_mean,
    shuffled_floor,
    signatures,
)
from wenmo.scoring.poetry import exact_form, rhymed
from wenmo.scoring.repetition import distinct_at_equal_length, self_bleu, sequence_repetition
from wenmo.text.characters import without_space

CHINESE = st.text("雪山人间。，\n ", max_size=40)
TALE = (
    "小刺猬想和月亮说话，可是月亮太高了。它爬上山顶，喊了一声：“喂！”\n"
    "月亮没有听见。小刺猬坐下来，把想说的话写在一片叶子上。风把叶子吹走了。"
    "第二天夜里，它的窗台上落了一片银色的叶子。从此，它们每晚都写信。"
)
POEM = "雪落千山静，风来一叶轻。\n灯前翻旧信，窗外过车声。"


class Characters(Tokenizer):
    def tokenize(self, text: str) -> list[str]:
        return list(without_space(text))


ORACLE = RougeScorer(["rouge1", "rouge2", "rougeL"], tokenizer=Characters())


@given(text=CHINESE, reference=CHINESE)
def test_rouge_equals_rouge_score_with_a_character_tokenizer(text: str, reference: str) -> None:
    expected = ORACLE.score(reference, text)
    assert rouge_n(text, reference, 1) == pytest.approx(expected["rouge1"].fmeasure)
    assert rouge_n(text, reference, 2) == pytest.approx(expected["rouge2"].fmeasure)
    assert rouge_l(text, reference) == pytest.approx(expected["rougeL"].fmeasure)


def test_the_signatures_are_sacrebleu_s() -> None:
    assert signatures()["bleu"].startswith("nrefs:1|case:mixed|eff:no|tok:zh|smooth:exp|version:2.")
    assert signatures()["chrf2"].startswith("nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|")


def test_a_floor_is_the_score_with_another_row_s_reference() -> None:
    references = [f"{one}{other}{one}人间" for one in "雪山天地春" for other in "水月花风"]
    row = row_mean(rouge_l)
    assert row(references, references) == 1
    floors = {shuffled_floor(row, references, references, seed) for seed in range(5)}
    assert all(0 < floor < 1 for floor in floors)
    assert len(floors) > 1
    for overlap in (row, bleu, chrf):
        first, second = (shuffled_floor(overlap, references, references, 7) for _ in range(2))
        assert first == second < overlap(references, references)


@given(st.lists(st.sampled_from("雪山人间"), min_size=2, max_size=9), st.integers(0, 9))
def test_no_text_keeps_its_reference_nor_another_like_it(references: list[str], seed: int) -> None:
    kept = shuffled_floor(row_mean(lambda a, b: float(a == b)), references, references, seed)
    assert kept == 0


def test_the_same_text_scores_1_and_an_empty_one_0() -> None:
    for overlap in (bleu, chrf):
        assert overlap([POEM], [POEM]) == pytest.approx(1)
        assert overlap([""], [POEM]) == 0
    assert rouge_l(POEM, POEM) == 1
    assert rouge_l("", POEM) == rouge_n("", POEM, 2) == length_score("", POEM) == 0


def test_repetition_is_seen() -> None:
    assert sequence_repetition("雪山人间" * 3, 4) == pytest.approx(5 / 9)
    assert sequence_repetition("雪山人间春", 4) == 0
    assert sequence_repetition("", 4) == 1


@given(CHINESE, st.integers(1, 3), st.integers(3, 12))
def test_distinct_at_equal_length_is_the_mean_over_all_windows(
    text: str, n: int, window: int
) -> None:
    visible = without_space(text)
    windows = [visible[at : at + window] for at in range(max(1, len(visible) - window + 1))]
    expected = fmean(
        len({part[at : at + n] for at in range(len(part) - n + 1)}) / (window - n + 1)
        for part in windows
    )
    assert distinct_at_equal_length(text, n, window) == pytest.approx(expected)


def test_at_equal_length_a_longer_text_is_no_less_varied() -> None:
    draw = random.Random(1)
    text = "".join(draw.choices([chr(0x4E00 + number) for number in range(50)], k=2000))
    short, long = (distinct_at_equal_length(each, 2, 100) for each in (text[:400], text))
    assert short == pytest.approx(long, abs=0.02)
    assert distinct_at_equal_length(text[:50], 2, 100) < 0.5
    assert distinct_at_equal_length("", 2, 100) == 0


@given(st.lists(CHINESE, min_size=2, max_size=5))
def test_self_bleu_is_sacrebleu_s_with_all_other_texts_as_references(texts: list[str]) -> None:
    metric = BLEU(tokenize="char", effective_order=True)
    visible = [without_space(text) for text in texts]
    expected = [
        metric.sentence_score(text, [*visible[:at], *visible[at + 1 :]]).score / 100 if text else 1
        for at, text in enumerate(visible)
    ]
    assert self_bleu(texts) == pytest.approx(expected)


def test_self_bleu_sees_texts_that_are_all_the_same() -> None:
    assert self_bleu([POEM] * 3) == pytest.approx([1] * 3)
    assert self_bleu(["雪落千山静", "风来一叶轻"]) == [0, 0]
    assert self_bleu([POEM]) == [0]
    assert self_bleu(["", "", POEM]) == [1, 1, 0]


@pytest.mark.parametrize(
    ("length", "expected"),
    [(100, 1), (200, 2 / 3), (400, 0), (500, 0), (50, 0.5), (20, 0), (0, 0)],
)
def test_the_length_score_is_longbench_write_s(length: int, expected: float) -> None:
    assert length_score("雪" * length, "山" * 100) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "finish_reason", "expected"),
    [
        ("天亮了。", "stop", True),
        ("他说：“天亮了。”\n", "stop", True),
        ("天亮了……", "stop", True),
        ("（天亮了！）", "stop", True),
        ("天亮了。", "length", False),
        ("天亮了，", "stop", False),
        ("他说：“天亮了。", "stop", False),
        ("", "stop", False),
        ("”", "stop", False),
        ('他说："好。"', "stop", True),
        ('他说："好。', "stop", False),
    ],
)
def test_a_text_ends_properly(text: str, finish_reason: str, expected: bool) -> None:
    assert ends_properly(text, finish_reason) is expected


def test_a_truncated_system_shows_in_the_share_that_ends() -> None:
    cuts = range(1, len(TALE))
    assert ends_properly(TALE, "stop")
    assert has_ending(TALE)
    assert not any(ends_properly(TALE[:cut], "length") for cut in cuts)
    # Cut behind a whole sentence, only the finish reason tells.
    assert fmean(ends_properly(TALE[:cut], "stop") for cut in cuts) < 0.1
    assert fmean(has_ending(TALE[:cut]) for cut in cuts) < 0.1


def test_what_fairy_tales_add() -> None:
    assert sentence_length("小猫来了。\n小狗走了！“再见。”") == pytest.approx(15 / 3)
    assert common_share("小猫，小狗。") == 1
    assert common_share("小猫魑魅") == 0.5
    assert common_share("貓") == 0
    assert not has_ending("小猫来了。小狗走了。它们坐下。")
    assert not has_ending("从此它们住在一起。小猫来了。小狗走了。")


def test_an_empty_system_scores_0_or_the_worst_everywhere() -> None:
    texts, references = ["", " \n"], [POEM, TALE]
    for corpus in (bleu, chrf, row_mean(rouge_l), row_mean(length_score)):
        assert corpus(texts, references) == 0
        assert shuffled_floor(corpus, texts, references, 1) == 0
    assert self_bleu(texts) == [1, 1]
    for text in texts:
        assert distinct_at_equal_length(text, 4, 50) == 0
        assert sentence_length(text) == common_share(text) == 0
        assert not ends_properly(text, "stop")
        assert not has_ending(text)


def test_form_and_rhyme() -> None:
    assert exact_form(POEM, POEM)
    assert rhymed(POEM)
    assert not exact_form(POEM.split("\n")[0], POEM)
    assert not exact_form(POEM.replace("轻", "轻轻"), POEM)
    assert not exact_form("", POEM)
    assert not rhymed(POEM.replace("声", "铃").replace("轻", "雪"))
