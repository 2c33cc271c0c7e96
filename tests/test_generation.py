import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.conftest import make_row
from wenmo.engines.answers import GenerateParams, Writer, load_engine
from wenmo.engines.engine import Completion, Engine, Prompt, Sampling, prompt_seed
from wenmo.errors import UserError
from wenmo.model.chat import ChatParams
from wenmo.records import Generation, Row

SAMPLING = Sampling(max_new_tokens=12, temperature=0.8, top_p=0.9, top_k=50, repetition_penalty=1.1)
PARAMS = GenerateParams(
    engine="transformers", precision="fp32", batch_size=4, max_attempts=3, sampling=SAMPLING
)
CHAT = ChatParams(system_prompt="你是一位诗人。")
ROWS = [make_row(n, f"第{n}首", instruction="写" + "很" * n + "长的诗。") for n in range(6)]


@pytest.fixture(scope="module")
def engine(tiny_model: Path) -> Engine:
    return load_engine(tiny_model, PARAMS)


def answer(
    engine: Engine, rows: Sequence[Row] = ROWS, params: GenerateParams = PARAMS, seed: int = 1
) -> list[Generation]:
    return Writer(engine, params, CHAT, seed).answer(rows, "test")


def test_answers_come_in_the_rows_order_and_the_same_each_time(engine: Engine) -> None:
    first = answer(engine)
    assert [each.id for each in first] == [row.id for row in ROWS]
    assert [each.reference for each in first] == [row.output for row in ROWS]
    assert first == answer(engine)
    assert first != answer(engine, seed=2)


def test_a_text_does_not_depend_on_the_rows_beside_it(engine: Engine) -> None:
    together = answer(engine)
    alone = [answer(engine, [row])[0] for row in reversed(ROWS)]
    assert together == alone[::-1]


def test_temperature_0_takes_the_likeliest_token_whatever_the_seed(engine: Engine) -> None:
    greedy = PARAMS.model_copy(
        update={"sampling": SAMPLING.model_copy(update={"temperature": 0.0})}
    )
    assert answer(engine, params=greedy) == answer(engine, params=greedy, seed=2)


def test_sampling_comes_from_params_alone(tiny_model: Path, tmp_path: Path, engine: Engine) -> None:
    """A published model's generation_config.json brings its own; it must not add to ours."""
    shutil.copytree(tiny_model, tmp_path / "published")
    config = tmp_path / "published/generation_config.json"
    config.write_text(
        json.dumps(json.loads(config.read_text()) | {"repetition_penalty": 5.0, "top_k": 1})
    )
    published = load_engine(tmp_path / "published", PARAMS)
    sampling = SAMPLING.model_copy(update={"repetition_penalty": 1.0})
    params = PARAMS.model_copy(update={"sampling": sampling})
    assert answer(published, params=params) == answer(engine, params=params)


def test_length_is_bounded_and_said(engine: Engine) -> None:
    for each in answer(engine):
        assert each.tokens <= SAMPLING.max_new_tokens
        assert (each.finish_reason == "length") or each.tokens >= 1
        assert "<|im_end|>" not in each.text


def test_a_seed_is_a_row_s_own() -> None:
    seeds = {prompt_seed(s, row.id, a) for s in (1, 2) for row in ROWS for a in (0, 1)}
    assert len(seeds) == 2 * len(ROWS) * 2


class Forgetful:
    """A stand-in for faults that a real model won't produce on demand: empty answers."""

    def __init__(self, empty_attempts: int) -> None:
        self.empty_attempts = empty_attempts
        self.asked: list[int] = []

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> Iterator[Completion]:
        self.asked.append(len(prompts))
        for number, prompt in enumerate(prompts):
            empty = number == 0 and len(self.asked) <= self.empty_attempts
            yield Completion(prompt.id, "" if empty else "雪", "stop", 1)


def test_only_empty_answers_are_asked_again() -> None:
    engine = Forgetful(empty_attempts=2)
    answers = Writer(engine, PARAMS, CHAT, 1).answer_all(ROWS, "test")
    assert [each.text for each in answers] == ["雪"] * len(ROWS)
    assert [each.id for each in answers] == [row.id for row in ROWS]
    assert engine.asked == [6, 1, 1]


def test_a_row_that_stays_empty_is_named() -> None:
    with pytest.raises(UserError, match=r"source row 0 .*: empty after 3 attempts"):
        Writer(Forgetful(empty_attempts=9), PARAMS, CHAT, 1).answer_all(ROWS, "test")
