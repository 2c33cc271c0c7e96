"""What endpoints do that OpenAI's own does not: each fault costs its row, passes, or stops the run.

The endpoint is tests/fault_server.py, a stand-in that answers as tests/endpoint_answers.py lists.
The judge and the openai engine ask by the same client; tests/test_judge.py and
tests/test_openai_engine.py have what differs there.
"""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.account import CANARY, work_in, write_limits
from tests.endpoint_answers import (
    FILTERED,
    OUR_REQUEST_IS_WRONG,
    PASSING,
    completion,
    refuses,
    says,
)
from tests.fault_server import FaultServer
from tests.small_prompts import asks_about, bare_rows, settings, write
from wenmo.core.errors import UserError
from wenmo.llm.dialogue import first_request
from wenmo.llm.prompt_writer import refuse_failures


@pytest.fixture(autouse=True)
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work_in(tmp_path, monkeypatch)


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer() as server:
        yield server


# Refusals of one text, and of all requests.


@pytest.mark.parametrize("provider", FILTERED)
def test_a_text_that_a_content_filter_refuses_costs_its_row_alone(
    server: FaultServer, provider: str
) -> None:
    server.instead = lambda request: FILTERED[provider]() if asks_about(request) else None
    rows = bare_rows(12)
    for _ in range(2):
        prompted, usage = write(rows, server, max_failures=1)
        assert [row.id for row in prompted.rows] == [row.id for row in rows if row is not rows[3]]
        ((failed, fault),) = prompted.failures
        assert failed is rows[3]
        assert re.match(r"no answer: 4\d\d: \S", fault)
        assert "\n" not in fault
        assert usage.refused == 1
    assert server.calls == 12 + 1
    with pytest.raises(UserError, match=r"1 of 12 rows got no prompt .* source row 3 "):
        refuse_failures(prompted, settings(server.url))


@pytest.mark.parametrize("provider", FILTERED)
def test_if_every_text_is_refused_there_is_one_line_for_all(
    server: FaultServer, provider: str
) -> None:
    server.instead = lambda request: FILTERED[provider]()
    with pytest.raises(
        UserError, match=rf"^{server.url}: 4\d\d: .*; every prompt was refused \(summarize"
    ) as caught:
        write(bare_rows(20), server, max_failures=20)
    assert "\n" not in str(caught.value)
    assert server.calls == 20


def test_a_whole_book_may_offend_a_content_filter(server: FaultServer) -> None:
    offending = range(10, 30)
    server.instead = lambda request: FILTERED["zhipu"]() if asks_about(request, offending) else None
    write_limits(concurrency=1)
    prompted, _ = write(bare_rows(40), server, max_failures=20)
    assert (prompted.written, len(prompted.failures)) == (20, 20)


@pytest.mark.parametrize("fault", OUR_REQUEST_IS_WRONG)
def test_a_request_that_is_wrong_as_such_stops_the_run_at_once(
    server: FaultServer, fault: str
) -> None:
    server.instead = lambda request: OUR_REQUEST_IS_WRONG[fault]()
    write_limits(concurrency=1)
    with pytest.raises(UserError, match=rf"^{server.url}: 4\d\d: \S") as caught:
        write(bare_rows(30), server, max_failures=30)
    assert server.calls == 1
    assert "\n" not in str(caught.value)


def test_a_refused_field_points_to_the_entry_that_says_which_are_sent(server: FaultServer) -> None:
    server.instead = lambda request: OUR_REQUEST_IS_WRONG["a field"]()
    with pytest.raises(UserError, match=r"'max_tokens' is not supported.*its entry of endpoints"):
        write(bare_rows(1), server)


def test_a_refusal_without_a_known_reason_costs_a_row_unless_all_get_it(
    server: FaultServer,
) -> None:
    def too_long(request: dict[str, Any]) -> web.Response | None:
        message = "This model's maximum context length is 8192 tokens."
        return (
            refuses(code="context_length_exceeded", message=message)
            if asks_about(request)
            else None
        )

    server.instead = too_long
    prompted, _ = write(bare_rows(12), server, max_failures=1)
    assert [row.position for row, _ in prompted.failures] == [3]
    server.instead = lambda request: refuses(message="no")
    write_limits(concurrency=1)
    calls = server.calls
    with pytest.raises(UserError, match=rf"^{server.url}: 400: no; it refused 10 requests in a"):
        write([*bare_rows(40)[12:]], server, max_failures=40)
    assert server.calls == calls + 10


def test_an_answer_that_a_content_filter_cut_off_is_no_prompt(server: FaultServer) -> None:
    server.instead = lambda request: says("老船", "content_filter") if asks_about(request) else None
    prompted, _ = write(bare_rows(5), server, max_attempts=2, max_failures=1)
    assert [(row.position, fault) for row, fault in prompted.failures] == [(3, "没有通过内容审查")]
    assert server.calls == 6


# Faults that pass, whatever their status.


@pytest.mark.parametrize("fault", PASSING)
def test_a_fault_that_passes_is_waited_for(server: FaultServer, fault: str) -> None:
    answer, _ = PASSING[fault]
    server.instead = lambda request: answer() if server.calls == 1 else None
    prompted, usage = write(bare_rows(1), server)
    assert (prompted.written, server.calls) == (1, 2)
    assert (usage.calls, usage.retries) == (1, 1)


@pytest.mark.parametrize("fault", PASSING)
def test_a_fault_that_does_not_pass_is_told_in_the_server_s_words(
    server: FaultServer, fault: str
) -> None:
    answer, words = PASSING[fault]
    server.instead = lambda request: answer()
    write_limits(max_retries=0)
    with pytest.raises(UserError) as caught:
        write(bare_rows(1), server)
    assert str(caught.value).startswith(f"{server.url}: no prompt came: ")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert server.calls == 1


def test_a_rate_limit_in_200_is_backed_off_as_a_real_one(server: FaultServer) -> None:
    def limited(request: dict[str, Any]) -> web.Response:
        answer = refuses(200, code=429, message="slow down")
        answer.headers["Retry-After"] = "0.3"
        return answer

    server.instead = limited
    write_limits(max_retries=2)
    began = time.monotonic()
    with pytest.raises(UserError, match="429: slow down"):
        write(bare_rows(1), server)
    assert server.calls == 3
    assert time.monotonic() - began > 0.6


def test_a_long_message_is_shortened_and_the_key_is_in_no_part_of_it(server: FaultServer) -> None:
    server.instead = lambda request: refuses(200, message=f"{'啊' * 192}{CANARY} {'啊' * 999}")
    write_limits(max_retries=0)
    with pytest.raises(UserError) as caught:
        write(bare_rows(1), server)
    assert "***" in str(caught.value)
    assert CANARY[:6] not in str(caught.value)
    assert len(str(caught.value)) < 400


# Forms of an answer.


@pytest.mark.parametrize(
    "content",
    [
        [{"type": "text", "text": "雪夜归人"}],
        [{"type": "text", "text": "雪夜"}, {"type": "text", "text": "归人"}],
        [{"type": "thinking", "thinking": [{"type": "text", "text": "想"}]}, {"text": "雪夜归人"}],
        ["雪夜", "归人"],
        [{"type": "text", "text": "雪夜归人"}, {"type": "image_url", "image_url": {"url": "x"}}],
    ],
)
def test_the_parts_of_a_text_are_joined(server: FaultServer, content: Any) -> None:
    server.instead = lambda request: completion({"role": "assistant", "content": content})
    prompted, _ = write(bare_rows(1), server)
    assert [row.input for row in prompted.rows] == ["雪夜归人"]
    assert server.calls == 1


@pytest.mark.parametrize(
    "usage",
    [None, {}, {"prompt_tokens": None}, {"prompt_tokens": None, "completion_tokens": None}],
)
def test_an_unknown_number_of_tokens_counts_as_none(server: FaultServer, usage: Any) -> None:
    message = {"role": "assistant", "content": "雪夜归人"}
    server.instead = lambda request: completion(message, usage=usage)
    prompted, found = write(bare_rows(1), server)
    assert prompted.written == server.calls == 1
    assert (found.prompt_tokens, found.completion_tokens, found.money) == (0, 0, 0)


def test_half_of_a_surrogate_pair_can_be_stored(server: FaultServer) -> None:
    message = {"role": "assistant", "content": "雪夜归人\ud83d"}
    server.instead = lambda request: completion(message)
    assert write(bare_rows(1), server)[0].rows[0].input == "雪夜归人?"


def test_a_model_that_thinks_first_writes_a_prompt_with_one_call(server: FaultServer) -> None:
    server.instead = lambda request: says("<think>\n写谁？\n</think>\n\n写清晨渡口送别")
    prompted, _ = write(bare_rows(3), server)
    assert [row.input for row in prompted.rows] == ["写清晨渡口送别"] * 3
    assert server.calls == 3


@pytest.mark.parametrize(
    "message",
    [
        {"content": "<think>\n写谁？写船夫，还是写"},
        {"content": "", "reasoning_content": "写谁？"},
        {"content": None, "reasoning": "写谁？"},
        {"reasoning_content": "写谁？"},
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "写谁？"}]}]},
    ],
)
def test_thinking_without_end_is_an_answer_that_was_cut_off(
    server: FaultServer, message: dict[str, Any]
) -> None:
    server.instead = lambda request: completion({"role": "assistant", **message})
    prompted, _ = write(bare_rows(1), server, max_attempts=2)
    ((_, fault),) = prompted.failures
    assert "没有写完" in fault
    first, again = server.bodies
    # The thinking does not go back to the model.
    assert again["messages"][:-1] == first["messages"]
    with pytest.raises(UserError, match=r"Raise summarize\.max_tokens, or turn thinking off"):
        refuse_failures(prompted, settings(server.url))


# Fields of a request.


def test_a_server_gets_the_fields_that_its_entry_names(server: FaultServer) -> None:
    thinking_off = {"chat_template_kwargs": {"enable_thinking": False}}
    write(bare_rows(1), server)
    fields = {
        "max_tokens_field": "max_completion_tokens",
        "omit": ["temperature"],
        "extra_body": thinking_off,
    }
    write(bare_rows(1), server, fields=fields)
    plain, asked = server.bodies
    assert set(plain) == {"model", "messages", "temperature", "max_tokens"}
    common = {"model", "messages"}
    assert {name: plain[name] for name in common} == {name: asked[name] for name in common}
    assert {name: asked[name] for name in set(asked) - common} == thinking_off | {
        "max_completion_tokens": plain["max_tokens"]
    }
    # The answers are kept apart.
    write(bare_rows(1), server)
    write(bare_rows(1), server, fields=fields)
    assert server.calls == 2


def test_an_entry_without_fields_of_its_own_finds_the_answers_of_earlier_versions() -> None:
    url = "http://127.0.0.1:1/v1"
    said = {"max_tokens_field": "max_tokens", "omit": [], "extra_body": {}}
    requests = [first_request("雪。", settings(url, fields=fields)) for fields in ({}, said)]
    assert requests[0] == requests[1]
    assert set(requests[0]) == {"model", "messages", "temperature", "max_tokens"}


# The key.


@pytest.mark.parametrize("around", [("", "\n"), ("", "\r\n"), ("  ", "\t")])
def test_white_space_around_a_key_is_not_sent(
    server: FaultServer, monkeypatch: pytest.MonkeyPatch, around: tuple[str, str]
) -> None:
    monkeypatch.setenv("CANARY_KEY", f"{around[0]}{CANARY}{around[1]}")
    write(bare_rows(1), server)
    assert server.headers_seen == [f"Bearer {CANARY}"]


@pytest.mark.parametrize(
    "key", ["sk-密钥", "sk-ca\u200bnary", "\ufeffsk-canary", "sk-ca\nnary", "sk ca"]
)
def test_a_key_that_no_header_can_hold_is_told_by_its_variable(
    server: FaultServer, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("CANARY_KEY", key)
    with pytest.raises(UserError, match=r"^CANARY_KEY: .*printable ASCII") as caught:
        write(bare_rows(1), server)
    assert not {part for part in ("密钥", "nary", "sk") if part in str(caught.value)}
    assert server.calls == 0
