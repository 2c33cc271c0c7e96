"""Rewards of training by reinforcement: the scores of evaluate, each from 0 to 1."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import ROOT
from wenmo.config import params_file
from wenmo.config.params_file import TASKS
from wenmo.config.train import TrainParams
from wenmo.core.records import Generation
from wenmo.scoring.catalogue import LOWER_IS_BETTER
from wenmo.scoring.copying import copied
from wenmo.scoring.rewards import Rewards, rewards_of
from wenmo.scoring.scorecard import Setting, score

POEM = "白日依山尽，黄河入海流。\n欲穷千里目，更上一层楼。"
ASKED = "以“白日依山尽”为首句，写一首五言绝句。"
TALE = "从前有一座山，山里住着一只小熊。它每天都去河边看鱼。后来它学会了游泳。"


def defaults(task: str) -> TrainParams:
    content = params_file.read(ROOT / "params.yaml")
    return params_file.section(TrainParams, content, "train", task)


def rewards(task: str, *training: str) -> Rewards:
    return rewards_of(task, training, defaults(task).grpo.rewards)


def poem(text: str, reference: str = POEM, prompt: str = ASKED) -> Generation:
    return Generation("1", prompt, reference, text, "stop", 24)


def tale(text: str, finish_reason: str = "stop") -> Generation:
    return Generation("1", "写一个童话。", TALE, text, finish_reason, 40)


def test_a_poem_that_keeps_everything_and_copies_nothing_has_1() -> None:
    assert rewards("poetry").of(poem(POEM)) == {
        "form": 1.0,
        "rhyme": 1.0,
        "tone_share": 1.0,
        "first_line": 1.0,
        "different_characters": 1.0,
        "copied_lines": 1.0,
    }
    assert rewards("poetry").total(poem(POEM)) == 1.0


def test_each_fault_of_a_poem_costs_its_own_reward() -> None:
    of = rewards("poetry", POEM).of
    assert of(poem(POEM))["copied_lines"] == 0
    assert of(poem(POEM.replace("白日", "红日")))["first_line"] == 0
    assert of(poem(POEM.replace("楼", "门")))["rhyme"] == 0
    assert of(poem(POEM.replace("楼", "")))["form"] == 0
    assert of(poem(POEM.replace("一层", "上上")))["different_characters"] == 0.9
    assert rewards("poetry").total(poem("")) == 0


def test_what_does_not_apply_to_a_prompt_counts_neither_way() -> None:
    old = "涉江采芙蓉，兰泽多芳草。\n采之欲遗谁，所思在远道。\n还顾望旧乡，长路漫浩浩。"
    found = rewards("poetry").of(poem(POEM, reference=old, prompt="写一首诗。"))
    assert not {"tone_share", "first_line"} & found.keys()
    assert found["form"] == 0


def test_prose_is_rewarded_for_length_ending_and_few_repetitions() -> None:
    of = rewards("fairytale").of
    assert of(tale(TALE)) == {"length_score": 1.0, "ended": 1.0, "seq_rep_4": 1.0}
    assert of(tale(TALE, "length"))["ended"] == 0
    assert of(tale(TALE[:-1]))["ended"] == 0
    assert of(tale(TALE * 4))["length_score"] == 0
    assert of(tale(TALE * 2))["seq_rep_4"] < 0.6
    assert rewards("fairytale").total(tale("")) == 0


def test_the_reward_is_the_mean_by_weight() -> None:
    one = Rewards({}, {"form": 3.0, "rhyme": 1.0, "first_line": 0.0}, {})
    assert one.weighted({"form": 1.0, "rhyme": 0.0, "first_line": 0.0}) == 0.75
    assert one.weighted({"rhyme": 0.5}) == 0.5
    assert one.weighted({}) == 0.0


@given(st.text("白日依山尽，黄河入海流。\n", max_size=40))
def test_rewards_are_the_scores_of_evaluate(text: str) -> None:
    written = poem(text)
    learnt = frozenset({"黄河入海流"})
    card = score([written], copied([text], [POEM]), Setting("poetry", 20, learnt, 0)).by_row
    found = rewards("poetry", "黄河入海流。").of(written)
    for name, value in found.items():
        scored = card[name][0]
        assert scored is not None
        if name in LOWER_IS_BETTER and value:
            assert value == pytest.approx(1 - scored)
        elif name not in LOWER_IS_BETTER:
            assert value == pytest.approx(scored)
        assert 0 <= value <= 1


@pytest.mark.parametrize("task", TASKS)
def test_the_names_of_floors_are_names_of_rewards(task: str) -> None:
    found = rewards(task)
    assert found.floors.keys() <= found.scorers.keys() == found.weights.keys()
