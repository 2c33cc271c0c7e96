"""The openai engine against a stand-in for an endpoint, with faults that a real one won't produce.

Against a real server: tests/test_serving.py.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.account import CANARY, work_in, write_limits
from tests.endpoint_answers import FILTERED, OUR_REQUEST_IS_WRONG, completion, says
from tests.fault_server import Faults, FaultServer
from tests.small_generation import prompts, settings
from wenmo.core.errors import UserError
from wenmo.engines.engine import Completion, Model, Prompt
from wenmo.engines.openai import load, request
from wenmo.model.provenance import settings_digest

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


@pytest.fixture
def replica() -> Iterator[FaultServer]:
    with FaultServer() as server:
        yield server


def test_servers_of_one_model_are_asked_in_turn(server: FaultServer, replica: FaultServer) -> None:
    write_limits(replicas=[replica.url])
    found, cost = answers(server, prompts(20))
    assert (server.calls, replica.calls, cost["calls"]) == (10, 10, 20)
    write_limits()
    alone, _ = answers(server, prompts(20))
    assert {each.id: each for each in found} == {each.id: each for each in alone}


def test_what_a_server_had_when_it_was_lost_is_asked_of_the_others(
    server: FaultServer, capsys: pytest.CaptureFixture[str]
) -> None:
    replica = FaultServer()
    lost = ExitStack()
    lost.enter_context(replica)
    write_limits(replicas=[replica.url], concurrency=4, max_retries=1)
    server.faults = replica.faults = Faults(latency=0.01)
    asked, found = prompts(60), list[Completion]()
    params = settings(server.url)
    with load(params, [BASE, TUNED]) as engine:
        for completion in engine.generate(BASE, asked, params.sampling):
            found.append(completion)
            if len(found) == 15:
                lost.close()
    assert sorted(each.id for each in found) == sorted(prompt.id for prompt in asked)
    assert server.paid_twice() == replica.paid_twice() == []
    told = [line for line in capsys.readouterr().err.splitlines() if line]
    assert told == [f"{replica.url}: Connection error; the other servers take its share"]


def test_a_request_that_one_server_fails_goes_to_another_and_all_fail_in_one_line(
    server: FaultServer, replica: FaultServer
) -> None:
    write_limits(replicas=[replica.url], max_retries=0)
    server.faults = Faults(status=500)
    found, _ = answers(server, prompts(10))
    assert len(found) == 10 == len(replica.paid)
    replica.faults = Faults(status=503)
    with pytest.raises(UserError, match=r"is that the endpoint to ask"):
        answers(server, prompts(11)[10:])


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


@pytest.mark.parametrize(
    ("sent", "reason", "text"),
    [
        ("夜雪压柴门。灯\ufffd", "length", "夜雪压柴门。灯"),
        ("夜雪\ufffd门\ufffd\ufffd\ufffd", "length", "夜雪\ufffd门"),
        ("夜雪压柴门。\ufffd", "stop", "夜雪压柴门。\ufffd"),
    ],
)
def test_a_character_that_the_length_cuts_in_two_is_left_out(
    server: FaultServer, sent: str, reason: str, text: str
) -> None:
    server.reply = lambda _: (sent, reason)  # type: ignore[method-assign]
    (found,), _ = answers(server, prompts(1))
    assert (found.text, found.finish_reason) == (text, reason)


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
    assert asked.key == key


def test_a_text_depends_on_the_address_and_the_names_of_the_models_there() -> None:
    params = settings("http://192.0.2.1/v1", engine="openai")
    own = {"base_url": "http://192.0.2.1/v1", "base": "base", "tuned": "novel"}
    assert own.items() <= params.text_settings()["own"].items()


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


@pytest.mark.parametrize("fault", OUR_REQUEST_IS_WRONG)
def test_a_request_that_is_wrong_as_such_stops_at_once(server: FaultServer, fault: str) -> None:
    server.instead = lambda request: OUR_REQUEST_IS_WRONG[fault]()
    write_limits(concurrency=1)
    with pytest.raises(UserError, match=rf"^{server.url}: 4\d\d: .*\(asked '写第0首"):
        answers(server, prompts(20))
    # The next prompt may have been asked before the failure was seen.
    assert server.calls <= 2


@pytest.mark.parametrize("provider", FILTERED)
def test_a_prompt_that_a_content_filter_refuses_is_named_and_has_no_text(
    server: FaultServer, provider: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def filtered(request: dict[str, Any]) -> web.Response | None:
        said = request["messages"][-1]["content"]
        return FILTERED[provider]() if "第3首" in said or "第7首" in said else None

    server.instead = filtered
    asked = prompts(12)
    found, cost = answers(server, asked)
    by_id = {each.id: each for each in found}
    assert len(found) == len(by_id) == 12
    for number, prompt in enumerate(asked):
        answer = by_id[prompt.id]
        refused = number in (3, 7)
        assert (answer.text == "", answer.finish_reason == "content_filter") == (refused, refused)
    assert (cost["refused"], server.calls) == (2, 12)
    (told,) = capsys.readouterr().err.strip().splitlines()
    assert told.startswith(f"{server.url}: 2 of 12 prompts were refused, the first: 4")
    assert "(asked '写第" in told


def test_if_every_prompt_is_refused_there_is_one_line_for_all(server: FaultServer) -> None:
    server.instead = lambda request: FILTERED["zhipu"]()
    with pytest.raises(UserError, match=r"3 of 3 prompts were refused.*: 400: 1301: .*写第"):
        answers(server, prompts(3))


@pytest.mark.parametrize(
    "text",
    [
        "<think>\n押什么韵？\n</think>\n\n雪夜归人",
        "<think>\n\n</think>\n\n雪夜归人",
        "押什么韵？\n</think>雪夜归人",
        "<seed:think>押什么韵？</seed:think>雪夜归人",
        "◁think▷押什么韵？◁/think▷雪夜归人",
        "  雪夜归人\n",
    ],
)
def test_thinking_is_in_no_text(server: FaultServer, text: str) -> None:
    server.instead = lambda request: says(text)
    found, _ = answers(server, prompts(2), keep_answers=True)
    # Answers from the store have none either.
    found += answers(server, prompts(2), keep_answers=True)[0]
    assert [(each.text, each.finish_reason) for each in found] == [("雪夜归人", "stop")] * 4
    assert server.calls == 2


@pytest.mark.parametrize(
    "message",
    [
        {"content": "<think>\n押什么韵？"},
        {"content": "雪夜<think>\n押什么韵？"},
        {"content": None, "reasoning_content": "押什么韵？"},
        {"content": "\n", "reasoning": "押什么韵？"},
    ],
)
def test_thinking_without_end_is_an_empty_text_that_was_cut_off(
    server: FaultServer, message: dict[str, Any]
) -> None:
    server.instead = lambda request: completion({"role": "assistant", **message})
    found, _ = answers(server, prompts(1))
    assert [(each.text, each.finish_reason) for each in found] == [("", "length")]


def test_the_fields_of_the_entry_are_sent_beside_those_of_sampling(server: FaultServer) -> None:
    fields = {
        "max_tokens_field": "max_completion_tokens",
        "omit": ["temperature", "top_p", "repetition_penalty", "seed"],
        "extra_body": {"chat_template_kwargs": {"enable_thinking": False}},
    }
    params = settings(server.url, fields=fields, sampling={"top_k": 5, "stop": ["完"]})
    with load(params, [BASE]) as engine:
        list(engine.generate(BASE, prompts(1), params.sampling))
    (body,) = server.bodies
    assert {name: body[name] for name in set(body) - {"model", "messages"}} == {
        "max_completion_tokens": 24,
        "stop": ["完"],
        "top_k": 5,
        "chat_template_kwargs": {"enable_thinking": False},
    }


@pytest.mark.parametrize(
    "fields",
    [
        {"max_tokens_field": "max_completion_tokens"},
        {"omit": ["seed"]},
        {"extra_body": {"enable_thinking": False}},
    ],
)
def test_texts_of_other_fields_are_not_continued_and_those_of_other_limits_are(
    fields: dict[str, Any],
) -> None:
    digests = [
        settings_digest(settings("http://192.0.2.1/v1", engine="openai", **update).text_settings())
        for update in ({}, {"fields": fields}, {"openai": {"keep_answers": True}})
    ]
    assert digests[0] != digests[1]
    assert digests[0] == digests[2]


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
