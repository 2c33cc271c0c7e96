"""The openai engine against a stand-in for an endpoint, with faults that a real one won't produce.

Against a real server: tests/test_vllm.py.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.account import CANARY, work_in, write_limits
from tests.fault_server import Faults, FaultServer
from tests.small_generation import prompts, settings
from wenmo.core.errors import UserError
from wenmo.engines.engine import Completion, Model, Prompt
from wenmo.engines.openai import load, request
from wenmo.llm.store import request_key

BASE, TUNED = Model("base", Path("models/base")), Model("tuned", Path("models/merged/novel"))


@pytest.fixture(autouse=True)
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work_in(tmp_path, monkeypatch)


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer() as server:
        yield server


def answers(
    server: FaultServer, asked: list[Prompt], model: Model = BASE, **update: Any
) -> tuple[list[Completion], dict[str, Any]]:
    """The completions in order of completion, and what they cost."""
    params = settings(server.url, openai=update)
    with load(params, [BASE, TUNED]) as engine:
        found = list(engine.generate(model, asked, params.sampling))
        return found, engine.cost


def test_every_prompt_is_answered_once_whatever_goes_wrong_on_the_way(server: FaultServer) -> None:
    server.faults = replace(
        Faults(too_many=0.1, server_error=0.1, hang=0.02, truncated=0.05), latency=0.05
    )
    asked = prompts(100)
    found, cost = answers(server, asked)
    assert {each.id for each in found} == {prompt.id for prompt in asked}
    assert server.paid_twice() == []
    assert server.most_at_once > 10
    assert cost["completion_tokens"] == 5 * len(asked) == sum(each.tokens for each in found)
    assert cost["money"] == pytest.approx(len(asked) * (10 * 2.0 + 5 * 8.0) / 1e6)


def test_answers_that_are_kept_are_never_asked_again(server: FaultServer) -> None:
    first, _ = answers(server, prompts(20), keep_answers=True)
    again, cost = answers(server, prompts(20), keep_answers=True)
    assert sorted(again, key=lambda each: each.id) == sorted(first, key=lambda each: each.id)
    assert (cost["calls"], server.calls) == (0, 20)
    more, cost = answers(server, prompts(25), keep_answers=True)
    assert (len(more), cost["calls"]) == (25, 5)


def test_a_server_of_one_s_own_is_asked_each_time(server: FaultServer) -> None:
    """Its weights may have changed under the same name."""
    for calls in (20, 40):
        answers(server, prompts(20))
        assert server.calls == calls


def test_base_and_tuned_are_asked_by_the_endpoint_s_names(server: FaultServer) -> None:
    asked = prompts(3)
    base, _ = answers(server, asked, BASE, base="small", tuned="large")
    tuned, _ = answers(server, asked, TUNED, base="small", tuned="large")
    assert server.calls == 6
    assert {each.text for each in base}.isdisjoint(each.text for each in tuned)


def test_only_parameters_of_openai_are_sent_unless_others_are_set() -> None:
    prompt = prompts(1)[0]
    plain = {"top_k": 0, "repetition_penalty": 1.0}
    asked = request("m", prompt, settings(sampling=plain).sampling)
    assert set(asked) == {"model", "messages", "max_tokens", "temperature", "top_p", "seed"}
    assert 0 <= asked["seed"] < 2**31
    more = {"top_k": 5, "repetition_penalty": 1.1, "stop": ["完"]}
    asked = request("m", prompt, settings(sampling=more).sampling)
    assert asked["stop"] == ["完"]
    assert asked["extra_body"] == {"top_k": 5, "repetition_penalty": 1.1}


def test_answers_that_were_paid_for_are_found_by_every_later_version() -> None:
    """Neither requests nor keys may change, or users would pay for all stored answers again."""
    drawn = {"max_new_tokens": 24, "temperature": 0.8, "top_p": 0.9, "top_k": 5}
    sampling = settings(sampling=drawn | {"repetition_penalty": 1.1, "stop": ["完"]}).sampling
    asked = request("m", Prompt([{"role": "user", "content": "写雪。"}], 2**40 + 7), sampling)
    key = "ca9ce5072fade9dd739741271b57904dcecf94284165b3526ae3072c7f36d5fe"
    assert request_key(asked) == key


def test_a_text_depends_on_the_address_and_the_names_of_the_models_there() -> None:
    params = settings("http://192.0.2.1/v1", engine="openai")
    own = {"base_url": "http://192.0.2.1/v1", "base": "base", "tuned": "novel"}
    assert params.text_settings()["own"] == own


def test_an_endpoint_that_is_not_there_is_one_line() -> None:
    with FaultServer() as gone:
        pass
    write_limits(max_retries=0)
    way_out = r"^http://127.*\(generate.openai.endpoint is vllm\), and does it run"
    with pytest.raises(UserError, match=way_out) as failure:
        answers(gone, prompts(3))
    assert "\n" not in str(failure.value)


@pytest.mark.parametrize("status", [400, 401])
def test_a_refusal_is_one_line_with_the_prompt_and_without_the_key(
    server: FaultServer, status: int
) -> None:
    server.faults = Faults(status=status)
    with pytest.raises(UserError, match=rf"^http://127.*: {status}: .*\(asked '写第") as failure:
        answers(server, prompts(3))
    assert "\n" not in str(failure.value)
    assert CANARY not in str(failure.value)


def test_answers_that_came_before_a_failure_are_yielded(server: FaultServer) -> None:
    server.faults = Faults(latency=0.05)
    write_limits(max_retries=0, concurrency=4)
    params = settings(server.url)
    found = []
    with load(params, [BASE]) as engine:
        completions = engine.generate(BASE, prompts(40), params.sampling)
        with pytest.raises(UserError, match="the same command goes on from there"):
            for each in completions:
                found.append(each)
                server.faults = Faults(status=503)
    assert len(server.paid) == len(found) < 40
