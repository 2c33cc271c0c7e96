"""`wenmo write --endpoint` with servers that think aloud, refuse, or fail in forms of their own.

The server is tests/streaming_server.py, a stand-in; tests/test_write.py has what holds of any
server.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import web
from ruamel.yaml import YAML
from typer.testing import CliRunner

from tests.conftest import ROOT
from tests.endpoint_answers import FILTERED, OUR_REQUEST_IS_WRONG, PASSING
from tests.streaming_server import StreamingServer
from wenmo.config import params_file
from wenmo.core.errors import UserError
from wenmo.engines.engine import Completion
from wenmo.tools import cli
from wenmo.tools.writing.endpoint import EndpointWriter
from wenmo.tools.writing.screen import GrowingText, Screen
from wenmo.tools.writing.writer import TextRequest, WritingParams


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("params.yaml", "endpoints.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    monkeypatch.chdir(tmp_path)


def written(server: StreamingServer) -> tuple[list[str], Completion]:
    """The text each time that it had grown, and the whole."""
    parts: list[str] = []

    def on_text(text: str) -> bool:
        parts.append(text)
        return True

    sampling = WritingParams.load("poetry").generate.sampling
    request = TextRequest("poetry", "以《雪》为题，写一首五言绝句。", 1, sampling)
    return parts, EndpointWriter(server.url, ["poetry"]).write("tuned", request, on_text)


@pytest.mark.parametrize(
    ("pieces", "shown"),
    [
        (["<thi", "nk>押韵", "？</thi", "nk>\n\n一篙", "春水绿"], ["一篙", "一篙春水绿"]),
        (["<think>", "\n\n</think>\n\n", "一篙春水绿"], ["一篙春水绿"]),
        (["[THINK]押韵[/THINK]", "一篙", "春水绿"], ["一篙", "一篙春水绿"]),
    ],
)
def test_thinking_is_never_shown(pieces: list[str], shown: list[str]) -> None:
    with StreamingServer(pieces=pieces) as server:
        parts, text = written(server)
    assert list(dict.fromkeys(part for part in parts if part)) == shown
    assert (text.text, text.finish_reason) == ("一篙春水绿", "stop")


def test_thinking_that_began_in_the_prompt_is_not_in_the_text() -> None:
    """A chat template may open it, so that only its end shows what it was."""
    with StreamingServer(pieces=["押韵？\n", "</think>\n\n一篙", "春水绿"]) as server:
        _, text = written(server)
        run = CliRunner().invoke(
            cli.app, ["write", "--endpoint", server.url, "--task", "poetry", "一篙"]
        )
    assert text.text == "一篙春水绿"
    # A pipe gets the text and nothing else.
    assert run.stdout == "一篙春水绿\n"


def test_a_terminal_shows_the_answer_after_what_was_thinking(
    capsys: pytest.CaptureFixture[str],
) -> None:
    growing = GrowingText(Screen(plain=False), with_tones=False)
    for text in ("押韵", "押韵？", "", "一篙", "一篙春水绿"):
        growing.show(text)
    growing.end()
    assert capsys.readouterr().out == "押韵？\n一篙春水绿\n"


@pytest.mark.parametrize("field", ["content", "reasoning_content", "reasoning"])
def test_thinking_without_end_is_a_text_that_was_cut_off(field: str) -> None:
    opening = "<think>" if field == "content" else ""
    with StreamingServer(pieces=[opening, "押韵？"], field_of_pieces=field) as server:
        parts, text = written(server)
    assert set(parts) == {""}
    assert (text.text, text.finish_reason) == ("", "length")


@pytest.mark.parametrize("fault", PASSING)
def test_a_fault_is_told_in_the_server_s_words(fault: str) -> None:
    answer, words = PASSING[fault]
    with StreamingServer(instead=answer) as server, pytest.raises(UserError) as failure:
        written(server)[1]
    assert words in str(failure.value)
    assert "\n" not in str(failure.value)


@pytest.mark.parametrize("refusal", [*FILTERED.values(), *OUR_REQUEST_IS_WRONG.values()])
def test_a_refused_text_is_one_line(refusal: Callable[[], web.Response]) -> None:
    with StreamingServer(instead=refusal) as server:
        with pytest.raises(UserError, match=rf"^{server.url}: 4\d\d: \S") as failure:
            written(server)[1]
        assert str(failure.value).count(server.url) == 1
    assert "\n" not in str(failure.value)


@pytest.mark.parametrize("body", ["", "data: [DONE]\n\n"])
def test_a_stream_without_a_text_is_told(body: str) -> None:
    def empty() -> web.Response:
        return web.Response(text=body, content_type="text/event-stream")

    with (
        StreamingServer(instead=empty) as server,
        pytest.raises(UserError, match="no text came"),
    ):
        written(server)[1]


def test_a_stream_that_is_sent_as_plain_text_is_a_stream() -> None:
    chunk = {"choices": [{"index": 0, "delta": {"content": "雪"}, "finish_reason": "stop"}]}
    with StreamingServer(
        instead=lambda: web.Response(text=f"data: {json.dumps(chunk)}\n\n")
    ) as server:
        assert written(server)[1].text == "雪"


def test_an_error_within_a_stream_is_told() -> None:
    def broken() -> web.Response:
        text = 'data: {"error": {"message": "out of memory", "code": 500}}\n\n'
        return web.Response(text=text, content_type="text/event-stream")

    with (
        StreamingServer(instead=broken) as server,
        pytest.raises(UserError, match="out of memory"),
    ):
        written(server)[1]


def test_a_server_gets_the_fields_of_the_entry_with_its_address() -> None:
    with StreamingServer() as server:
        content = params_file.read()
        content["endpoints"]["mine"] = {
            "base_url": f"{server.url}/",
            "model": "m",
            "max_tokens_field": "max_completion_tokens",
            "omit": ["top_p"],
            "extra_body": {"enable_thinking": False},
        }
        YAML(typ="safe").dump(content, Path("params.yaml"))
        written(server)[1]
        (body,) = server.asked
    assert (body["max_completion_tokens"], body["enable_thinking"]) == (160, False)
    assert not {"max_tokens", "top_p", "extra_body"} & body.keys()
