"""Planted cases: what evaluate says of systems whose worth is known beforehand."""

import math
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from tests.conftest import ROOT
from wenmo.config.evaluate import EvaluateParams
from wenmo.core.errors import UserError
from wenmo.core.records import Generation, Row, read_json_lines, row_id
from wenmo.scoring.evaluation import Evaluation, ModelResult, evaluate
from wenmo.scoring.judge import Judged

BOOKS = [book for _, book in read_json_lines(ROOT / "data/sample/novel/train.jsonl")]
LENGTH = 150
PASSAGES = [
    (book["name"], book["text"][at : at + LENGTH].strip() + "。")
    for book in BOOKS
    for at in range(0, len(book["text"]) - LENGTH, LENGTH)
]
ROWS, OTHERS, TRAINING = PASSAGES[:40], PASSAGES[40:80], PASSAGES[80:]

POEM = "雪落千山静，风来一叶轻。\n灯前翻旧信，窗外过车声。"
ANOTHER = "夜半敲门问，谁家借把锄。\n明朝天若好，一起种新书。"


def make_params(**update: Any) -> EvaluateParams:
    committed = EvaluateParams.load("evaluate", path=ROOT / "params.yaml")
    return committed.model_copy(update={"window": 50, "resamples": 2000} | update)


def rows_of(passages: Sequence[tuple[str, str]], prompt: str = "写一段。") -> list[Row]:
    return [
        Row(row_id(source, text), source, at, prompt, "", text)
        for at, (source, text) in enumerate(passages)
    ]


def wrote(rows: Sequence[Row], texts: Sequence[str], reason: str = "stop") -> ModelResult:
    """Texts in the rows' order, as many of each row as there are times more; losses alike."""
    draws = len(texts) // len(rows)
    owners = [row for row in rows for _ in range(draws)]
    generations = [
        Generation(row.id, row.prompt, row.output, text, reason, len(text))
        for row, text in zip(owners, texts, strict=True)
    ]
    return ModelResult(generations, [6.0 + len(row.output) % 7 / 10 for row in rows])


def evaluated(
    base: Sequence[str],
    tuned: Sequence[str],
    task: str = "novel",
    rows: Sequence[Row] | None = None,
    tuned_ends: str = "stop",
    **update: Any,
) -> Evaluation:
    rows = rows or rows_of(ROWS)
    training = rows_of(TRAINING if task == "novel" else [("诗", ANOTHER)])
    first, second = wrote(rows, base), wrote(rows, tuned, tuned_ends)
    return evaluate(task, rows, training, first, second, make_params(**update), seed=1)


HUMAN = [text for _, text in OTHERS]
LEARNT = [text for _, text in TRAINING[:40]]


def test_identical_systems_show_no_difference() -> None:
    result = evaluated(HUMAN, HUMAN)
    assert result.details["base"] == result.details["tuned"]
    assert result.details["delta"]["ci_low"] == result.details["delta"]["ci_high"] == 0
    assert result.details["delta"]["p_value"] == 1
    assert result.details["delta"]["ties"] == 40
    assert all(
        each["ci_low"] <= 0 <= each["ci_high"] and each["p_holm"] == 1
        for each in result.details["deltas"].values()
    )


def test_systems_that_differ_by_chance_alone_give_an_interval_around_0() -> None:
    # Either writes other people's passages, in another order.
    result = evaluated(HUMAN, random.Random(3).sample(HUMAN, 40))
    delta = result.details["deltas"]["rouge_1"]
    assert delta["ci_low"] < 0 < delta["ci_high"]
    assert delta["p_holm"] > 0.05


def test_who_copies_the_training_text_is_flagged() -> None:
    result = evaluated(HUMAN, LEARNT)
    assert result.details["tuned"]["copied"] == 1
    assert result.details["tuned"]["copied_13grams"] == 1
    assert result.details["tuned"]["longest_copy"] > 140 > result.details["base"]["longest_copy"]
    assert result.details["base"]["copied"] <= 0.05
    assert result.details["deltas"]["copied"]["ci_high"] < -0.9
    assert result.details["references"]["copied"] <= 0.05


def test_who_says_nothing_scores_0() -> None:
    result = evaluated([""] * 40, HUMAN)
    silent = result.details["base"]
    for name in ("rouge_1", "rouge_2", "rouge_l", "bleu", "chrf2", "length_score", "distinct_2"):
        assert silent[name] == 0, name
    assert silent["seq_rep_4"] == silent["self_bleu"] == 1
    assert silent["ended"] == 0
    assert result.details["deltas"]["rouge_l"]["ci_low"] > 0


def test_one_empty_text_counts_and_is_not_skipped() -> None:
    all_but_one = evaluated(HUMAN, ["", *HUMAN[1:]])
    scores = [row["tuned"]["rouge_1"] for row in all_but_one.by_row]
    assert scores[0] == 0
    assert all_but_one.details["tuned"]["rouge_1"] == pytest.approx(sum(scores) / 40, abs=1e-3)


def test_who_is_cut_off_does_not_end_properly() -> None:
    result = evaluated(HUMAN, [text[:100] for text in HUMAN], tuned_ends="length")
    assert result.details["tuned"]["ended"] == 0
    assert result.details["base"]["ended"] > 0.5
    assert result.details["deltas"]["ended"]["ci_high"] < 0
    assert result.details["tuned"]["length_score"] < result.details["base"]["length_score"]


def test_who_repeats_one_sentence_is_seen() -> None:
    result = evaluated(HUMAN, ["他看了看窗外的雨，又坐了下来。" * 16] * 40)
    tuned, references = result.details["tuned"], result.details["references"]
    assert tuned["seq_rep_4"] > 0.9 > 0.1 > references["seq_rep_4"]
    assert tuned["self_bleu"] == pytest.approx(1)
    assert tuned["distinct_2"] < 0.5 < references["distinct_2"]


def test_who_writes_the_references_is_far_from_the_floor() -> None:
    result = evaluated(HUMAN, [text for _, text in ROWS])
    tuned, floors = result.details["tuned"], result.details["floors"]
    for name in ("rouge_1", "rouge_2", "rouge_l", "bleu", "chrf2"):
        assert tuned[name] == pytest.approx(1)
        assert floors["tuned"][name] < 0.6
        assert result.details["base"][name] == pytest.approx(floors["base"][name], abs=0.05)


def test_further_scores_are_held_to_what_their_number_asks_for() -> None:
    result = evaluated(HUMAN, [text[:80] for text in HUMAN])
    deltas = result.details["deltas"]
    assert "loss_per_character" not in deltas
    assert "primary" in result.details["delta"]
    assert all(each["p_holm"] >= each["p_value"] for each in deltas.values())
    assert any(each["p_holm"] > each["p_value"] for each in deltas.values())


def test_one_row_alone_cannot_be_compared() -> None:
    with pytest.raises(UserError, match=r"eval\.jsonl: 1 row.* merge\.eval_fraction"):
        evaluated(HUMAN[:1], HUMAN[:1], rows=rows_of(ROWS[:1]))


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_no_number_is_refused(loss: float) -> None:
    rows = rows_of(ROWS)
    base, tuned = wrote(rows, HUMAN), wrote(rows, HUMAN)
    broken = ModelResult(tuned.generations, [*tuned.losses[:-1], loss])
    with pytest.raises(UserError, match=rf"^tuned: .* row 39 is {loss}; set generate.precision"):
        evaluate("novel", rows, rows_of(TRAINING), base, broken, make_params(), seed=1)


def test_a_difference_that_is_not_written_is_a_tie() -> None:
    rows = rows_of(ROWS)
    base, tuned = wrote(rows, HUMAN), wrote(rows, HUMAN)
    close = ModelResult(tuned.generations, [loss - 1e-6 for loss in tuned.losses])
    delta = evaluate("novel", rows, rows_of(TRAINING), base, close, make_params(), 1).details[
        "delta"
    ]
    assert (delta["wins"], delta["ties"], delta["p_value"]) == (0, 40, 1)


def test_a_better_loss_is_a_win() -> None:
    rows = rows_of(ROWS)
    base, tuned = wrote(rows, HUMAN), wrote(rows, HUMAN)
    better = ModelResult(tuned.generations, [loss - 0.5 for loss in tuned.losses])
    result = evaluate("novel", rows, rows_of(TRAINING), base, better, make_params(), seed=1)
    assert result.details["delta"]["primary"] == 0.5
    assert (result.details["delta"]["wins"], result.details["delta"]["losses"]) == (40, 0)
    assert next(iter(result.details["base"])) == "loss_per_character"


def test_prose_has_no_scores_of_verse_and_verse_none_of_tales() -> None:
    novel = evaluated(HUMAN, HUMAN).details["tuned"]
    poetry = verse([POEM, POEM]).details["tuned"]
    tale = evaluated(HUMAN, HUMAN, task="fairytale").details["tuned"]
    assert {"form", "tones", "copied_lines"} <= poetry.keys() - novel.keys() - tale.keys()
    assert tale.keys() - novel.keys() == {"sentence_length", "common_share", "has_ending"}


def test_neither_short_nor_long_sentences_are_better() -> None:
    result = evaluated(HUMAN, [text[:50] for text in HUMAN], task="fairytale")
    assert "sentence_length" not in result.details["deltas"]
    assert "sentence_length" in result.details["references"]


def verse(texts: Sequence[str], references: Sequence[str] = (POEM, POEM[::1])) -> Evaluation:
    rows = [
        Row(str(at), "诗", at, f"以“{text[:5]}”为首句，写一首诗。", "", text)
        for at, text in enumerate(references)
    ]
    return evaluated(["", "雪"], texts, "poetry", rows)


def test_poems_are_judged_by_their_form() -> None:
    result = verse([POEM, POEM])
    assert result.details["delta"]["primary"] == result.details["tuned"]["form"] == 1
    assert result.details["base"]["form"] == 0
    assert result.details["tuned"]["rhyme"] == result.details["tuned"]["first_line"] == 1


def test_tone_rules_bind_only_where_the_form_has_them() -> None:
    other = "雪落千山\n风来一叶\n灯前旧信\n窗外车声"
    result = verse([POEM, other], [POEM, other])
    assert "tones" in result.by_row[0]["tuned"]
    assert "tones" not in result.by_row[1]["tuned"]
    assert "tones" not in result.details["deltas"], "one row shows no difference"
    alone = verse([other, other], [other, other])
    assert "tones" not in alone.details["tuned"]
    assert "tones" not in alone.details["deltas"]


def test_lines_of_training_poems_are_seen() -> None:
    copy = POEM[:6] + ANOTHER.replace("\n", "")[6:]
    result = verse([copy, POEM])
    assert [row["tuned"]["copied_lines"] for row in result.by_row] == [1, 0]


def test_several_texts_a_row_are_averaged_and_their_noise_is_told() -> None:
    both = [text for pair in zip(HUMAN, [""] * 40, strict=True) for text in pair]
    one, two = evaluated(HUMAN, HUMAN), evaluated(HUMAN, HUMAN)
    assert "seed_noise" not in one.details
    two = evaluated(both, both)
    assert two.details["tuned"]["rouge_1"] == pytest.approx(
        one.details["tuned"]["rouge_1"] / 2, abs=1e-3
    )
    assert two.details["seed_noise"]["tuned"]["rouge_1"] > 0.1
    same = [text for text in HUMAN for _ in range(2)]
    assert set(evaluated(same, same).details["seed_noise"]["base"].values()) == {0}


def test_what_a_judge_said_stands_beside_the_scores() -> None:
    rows = rows_of(ROWS[:4])
    said = [Judged("win", "win", "win"), Judged("tie", "win", "tie"), Judged("unfinished")]
    judged = dict(zip([row.id for row in rows], [*said, Judged("loss")], strict=True))
    written = wrote(rows, HUMAN[:4])
    result = evaluate(
        "novel", rows, rows_of(TRAINING), written, written, make_params(), 1, judged=judged
    )
    assert result.details["judge"]["judged"] == 3
    assert result.details["judge"]["tuned_win_rate"] == 0.5
    assert result.details["judge"]["consistency"] == 0.5
    assert [row["judge"] for row in result.by_row] == ["win", "tie", "unfinished", "loss"]
    assert "judge" not in evaluated(HUMAN, HUMAN).details


def test_the_same_texts_give_the_same_numbers() -> None:
    assert evaluated(HUMAN, LEARNT) == evaluated(HUMAN, LEARNT)


def test_scores_that_are_the_decoder_s_are_listed_with_the_headline() -> None:
    rows = rows_of([("poems", POEM), ("poems", ANOTHER)])
    free = wrote(rows, [POEM, ANOTHER])
    ruled = ModelResult([replace(each, verse="rhyme") for each in free.generations], free.losses)
    found = {
        name: evaluate("poetry", rows, rows, model, model, make_params(), 1)
        for name, model in (("free", free), ("ruled", ruled))
    }
    assert "by_rule" not in {**found["free"].headline, **found["free"].details}
    forced = {"first_line": 1, "form": 1, "rhyme": 1}
    assert found["ruled"].headline["by_rule"] == found["ruled"].details["by_rule"] == forced
    measure = found["free"].details["measures"]["五言绝句"]
    assert measure["rows"] == 2
    assert measure["tuned"] == measure["references"] == {"rhyme": 1, "tones": 1}
