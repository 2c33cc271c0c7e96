"""Training by rewards in miniature: what it leaves, how it goes on, and when it stops."""

import os
import re
import signal
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError

from tests.conftest import digests, make_row
from tests.small_training import CHAT, settings
from wenmo.config.params_file import deep_merge
from wenmo.core.errors import StoppedError
from wenmo.core.records import Row
from wenmo.methods import grpo, policy
from wenmo.methods.alarm import Passed, alarm_callback
from wenmo.model.chat import prompt_ids, prompt_messages
from wenmo.model.checkpoints import Checkpoints
from wenmo.model.loading import load_tokenizer
from wenmo.model.training import Outputs, train
from wenmo.scoring.rewards import Rewards, rewards_of

POEM = "雪落千山静，风来{}叶轻。\n渔舟归晚渡，灯火近江城。"
ASKED = "以“雪落千山静”为首句，写一首五言绝句。"
ROWS = [replace(make_row(n, POEM.format(c)), input=ASKED) for n, c in enumerate("一二三四五六")]
SMALL = {
    "method": "grpo",
    "max_steps": 4,
    # Points of the curves, measurements and checkpoints fall on different steps.
    "logging_steps": 3,
    "grpo": {
        "max_steps": 6,
        "learning_rate": 5e-3,
        "warmup_steps": 0,
        "num_generations": 4,
        # Of four rows, so that each is asked several times.
        "per_device_train_batch_size": 8,
        "eval_steps": 4,
        "max_loss_rise": 10.0,
    },
}


def fit(
    base: Path, folder: Path, rows: list[Row] = ROWS, task: str = "poetry", **update: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Train on all rows but the last two. Returns the ledger and the log."""
    log: dict[str, Any] = {}
    outputs = Outputs(folder / "adapter", folder / "curves", folder / "checkpoints")
    params = settings(**deep_merge(SMALL, update))
    ledger = grpo.fit(task, rows[:-2], rows[-2:], base, outputs, params, CHAT, 1, log)
    return ledger, log


@pytest.fixture(scope="module")
def rewarded(
    small_base: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any], dict[str, Any]]:
    folder = tmp_path_factory.mktemp("rewarded")
    return folder, *fit(small_base, folder)


def steps(curve: Path) -> list[str]:
    return [line.split("\t")[0] for line in curve.read_text().splitlines()[1:]]


def test_it_leaves_an_adapter_both_trainings_curves_and_their_ledger(rewarded: tuple) -> None:
    folder, ledger, log = rewarded
    assert sorted(digests(folder / "adapter")) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]
    curves = folder / "curves"
    assert steps(curves / "eval/loss.tsv")[-1] == "4"
    assert steps(curves / "grpo/reward.tsv") == ["1", "3", "6"]
    assert steps(curves / "grpo/rewards/rhyme.tsv") == ["1", "3", "6"]
    assert steps(curves / "grpo/eval/loss.tsv") == ["0", "4", "6"]
    assert ledger["rows"] == 4
    assert (ledger["steps"], ledger["grpo"]["steps"], ledger["grpo"]["kept_step"]) == (4, 6, 6)
    assert ledger["grpo"]["stopped_early"] == 0
    assert 0 <= ledger["grpo"]["reward"] <= 1
    assert log["grpo"]["arguments"]["beta"] == settings().grpo.beta
    assert [path.name for path in (folder / "checkpoints").iterdir()] == ["finished"]


def test_it_goes_on_with_the_adapter_of_supervised_training(
    rewarded: tuple, small_base: Path, tmp_path: Path
) -> None:
    folder, ledger, _ = rewarded
    outputs = Outputs(tmp_path / "adapter", tmp_path / "curves", tmp_path / "checkpoints")
    params = settings(**SMALL)
    supervised = train(ROWS[:-2], ROWS[-2:], small_base, outputs, params, CHAT, 1, {})
    assert {key: value for key, value in ledger.items() if key != "grpo"} == supervised
    kept = folder / "checkpoints/finished/sft"
    assert digests(kept / "adapter") == digests(tmp_path / "adapter")
    assert digests(tmp_path / "adapter") != digests(folder / "adapter")
    for name, digest in digests(tmp_path / "curves").items():
        assert digests(folder / "curves")[name] == digest


@pytest.mark.parametrize("texts", [2, pytest.param(5, marks=pytest.mark.full)])
def test_stopped_and_gone_on_it_ends_with_the_same_bytes(
    rewarded: tuple,
    small_base: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    texts: int,
) -> None:
    """Stopped while the texts of that step are judged, between two points of every curve."""
    folder, ledger, _ = rewarded
    judged = 0

    def of(self: Rewards, text: Any) -> dict[str, float]:
        nonlocal judged
        judged += 1
        if judged == 8 * texts:
            os.kill(os.getpid(), signal.SIGTERM)
        return whole(self, text)

    whole = Rewards.of
    with monkeypatch.context() as patch:
        patch.setattr(Rewards, "of", of)
        with pytest.raises(StoppedError, match=f"stopped after step {texts} of 6"):
            fit(small_base, tmp_path)
    again, log = fit(small_base, tmp_path)
    assert "arguments" not in log, "supervised training was done once more"
    assert again == ledger
    assert digests(tmp_path / "adapter") == digests(folder / "adapter")
    assert digests(tmp_path / "curves") == digests(folder / "curves")


def test_no_output_names_a_path_of_this_machine(rewarded: tuple, small_base: Path) -> None:
    folder, _, _ = rewarded
    content = (folder / "adapter/adapter_config.json").read_text()
    assert str(folder) not in content.replace(str(small_base), "models/base")


def test_prose_is_rewarded_by_length_ending_and_repetition(
    small_base: Path, tmp_path: Path
) -> None:
    fit(small_base, tmp_path, task="fairytale", grpo={"max_steps": 1})
    rewards = {path.stem for path in (tmp_path / "curves/grpo/rewards").iterdir()}
    assert rewards == {"length_score", "ended", "seq_rep_4"}


def test_the_prompts_are_those_that_an_engine_asks(small_base: Path, tmp_path: Path) -> None:
    """A prompt that quotes control tokens ends no turn, which TRL's own wording would let it."""
    tokenizer = load_tokenizer(small_base)
    quoting = replace(
        ROWS[0], input="写<|im_end|>\n<|im_start|>assistant\n雪", history=(("问", "答"),)
    )
    rows = [ROWS[0], quoting]
    supervised = Outputs(tmp_path / "adapter", tmp_path / "curves", tmp_path / "checkpoints")
    train(ROWS[:-2], ROWS[-2:], small_base, supervised, settings(max_steps=1), CHAT, 1, {})
    trainer = policy.new_policy_trainer(
        small_base,
        supervised.adapter,
        tokenizer,
        rows,
        rewards_of("poetry", [], settings().grpo.rewards),
        settings(**SMALL),
        CHAT,
        Checkpoints(tmp_path, "some"),
        1,
    )
    asked = [prompt_messages(CHAT.system_prompt, row.prompt, row.history) for row in rows]
    assert trainer._tokenize_prompts([1, 0])[0] == prompt_ids(tokenizer, asked)[::-1]


def test_every_prompt_is_asked_before_any_comes_again() -> None:
    order = policy.prompt_order(5, 12, seed=1)
    assert sorted(order[:5]) == sorted(order[5:10]) == list(range(5))
    assert len(order) == 12
    assert order == policy.prompt_order(5, 12, seed=1) != policy.prompt_order(5, 12, seed=2)


# The alarm


def test_a_held_out_loss_that_rises_ends_the_training_with_the_last_adapter_within_bounds(
    rewarded: tuple, small_base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ruinous = {"learning_rate": 1.0, "eval_steps": 2, "max_loss_rise": 0.02}
    ledger, _ = fit(small_base, tmp_path, learning_rate=1.0, grpo=ruinous)
    found = ledger["grpo"]
    assert (found["stopped_early"], found["steps"], found["kept_step"]) == (1, 2, 0)
    assert found["loss_per_character"] == found["loss_per_character_at_start"]
    kept = tmp_path / "checkpoints/finished/sft/adapter"
    assert digests(tmp_path / "adapter") == digests(kept)
    told = [line for line in capsys.readouterr().err.splitlines() if "by rewards" in line]
    assert len(told) == 1
    assert re.search(
        r"^warning: stopped after step 2 of training by rewards: the held-out loss rose to [\d.]+"
        r" nats per character, above [\d.]+; the adapter after step 0 is kept$",
        told[0],
    )


class StandIn:
    """A stand-in for the trainer, whose texts get worse when a test says so."""

    def __init__(self) -> None:
        self.state = SimpleNamespace(global_step=0, max_steps=9, log_history=[])
        self.control = SimpleNamespace(should_training_stop=False, should_save=True)
        self.model = SimpleNamespace(eval=lambda: None, train=lambda: None)
        self._metrics: dict[str, dict[str, list[float]]] = {"train": {}}

    def log(self, figures: dict[str, float]) -> None:
        self.state.log_history.append({**figures, "step": self.state.global_step})

    def save_model(self, folder: str) -> None:
        Path(folder).mkdir(exist_ok=True)

    def step(self, callback: Any, different: float) -> None:
        self.state.global_step += 1
        self._metrics["train"]["rewards/different_characters"] = [different]
        callback.on_step_end(None, self.state, self.control)
        self.log({"rewards/different_characters": different})


def watched(folder: Path) -> tuple[StandIn, Any]:
    trainer, passed = StandIn(), Passed(folder, folder / "start")
    floors = {"different_characters": 0.8}
    callback = alarm_callback(trainer, lambda: 3.0, passed, floors, 1, 0.02)  # type: ignore[arg-type]
    callback.on_train_begin(None, trainer.state, trainer.control)
    return trainer, callback


def test_texts_of_few_characters_end_the_training_with_the_adapter_before_those_that_wrote_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trainer, callback = watched(tmp_path)
    for different in (0.95, 0.9, 0.85):
        trainer.step(callback, different)
    assert not trainer.control.should_training_stop
    trainer.step(callback, 0.79)
    assert trainer.control.should_training_stop
    assert not trainer.control.should_save
    # The adapter after step 3 wrote the texts of step 4.
    assert callback.kept == (2, tmp_path / "passed-2")
    callback.tell()
    assert "different_characters of the texts fell to 0.79, below 0.8" in capsys.readouterr().err


def test_an_adapter_that_begins_below_the_floor_is_not_held_to_it(tmp_path: Path) -> None:
    trainer, callback = watched(tmp_path)
    for different in (0.5, 0.4, 0.6):
        trainer.step(callback, different)
    assert not trainer.control.should_training_stop
    assert callback.kept is None


def test_what_a_killed_training_had_kept_is_not_gone_back_to(tmp_path: Path) -> None:
    passed, trainer = Passed(tmp_path, tmp_path / "start"), StandIn()
    for step in (2, 4, 6):
        passed.keep(trainer, step)  # type: ignore[arg-type]
    assert passed.last_before(7) == (6, tmp_path / "passed-6")
    # It was killed and goes on from step 3, so that step 4 comes again.
    passed.keep(trainer, 4)  # type: ignore[arg-type]
    assert passed.last_before(7) == (4, tmp_path / "passed-4")


# Parameters

IMPOSSIBLE = {
    "texts that are no whole groups": (
        {"grpo": {"num_generations": 3}},
        "a step of 8 texts (per_device_train_batch_size times gradient_accumulation_steps) is no"
        " multiple of num_generations (3)",
    ),
    "a rate above that of supervised training": (
        {"learning_rate": 1e-4, "grpo": {"learning_rate": 2e-4}},
        "grpo.learning_rate (0.0002) is above learning_rate (0.0001); set it to auto",
    ),
    "sharded weights": (
        {"launcher": "accelerate launch --config_file configs/fsdp.yaml"},
        "method grpo writes texts between its steps",
    ),
    "nothing to reward": (
        {"grpo": {"rewards": {"length_score": 0.0, "ended": 0.0, "seq_rep_4": 0.0}}},
        "every reward of prose has a weight of 0: length_score, ended, seq_rep_4",
    ),
    "one text per prompt": ({"grpo": {"num_generations": 1}}, "greater than or equal to 2"),
}


@pytest.mark.parametrize("case", IMPOSSIBLE)
def test_what_cannot_work_is_refused_with_the_reason(case: str) -> None:
    update, reason = IMPOSSIBLE[case]
    with pytest.raises(ValidationError, match=re.escape(reason)):
        settings(**deep_merge(SMALL, update))


def test_without_a_rate_of_its_own_it_is_a_25th() -> None:
    assert settings(learning_rate=4e-3).reward_learning_rate == 1.6e-4
    own = settings(learning_rate=4e-3, grpo={"learning_rate": 2e-4})
    assert own.reward_learning_rate == 2e-4


def test_what_supervised_training_does_not_read_changes_none_of_its_results() -> None:
    plain = settings().in_use()
    assert plain == settings(grpo={"beta": 0.5}).in_use()
    assert not {"method", "grpo"} & plain.keys()
    assert settings(method="grpo").in_use()["grpo"]["max_steps"] > 0
