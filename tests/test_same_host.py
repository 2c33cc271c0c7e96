"""The check of Host and Origin that stands before `wenmo web` and `wenmo serve`."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wenmo.tools.same_host import SameHost, host_names

VISIT = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}


def status(
    headers: dict[str, str] | list[tuple[bytes, bytes]],
    names: tuple[str, ...] = (),
    **scope: Any,
) -> tuple[int, str]:
    """Status and text of the answer; 200 is that of the application behind the check."""
    if isinstance(headers, dict):
        headers = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    sent: list[dict[str, Any]] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def receive() -> Any:
        raise AssertionError("no body is read")

    async def send(message: Any) -> None:
        sent.append(message)

    request = {"type": "http", "method": "GET", "scheme": "http", "path": "/", "headers": headers}
    asyncio.run(
        SameHost(application, host_names("127.0.0.1", names))(request | scope, receive, send)
    )
    if sent[0]["type"] == "websocket.close":
        return 403, ""
    return sent[0]["status"], sent[1]["body"].decode()


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "localhost"},
        {"host": "127.0.0.1:7860", "origin": "http://127.0.0.1:7860"},
        {"host": "[::1]:7860", "origin": "http://[::1]:7860"},
        {"host": "LocalHost:1", "sec-fetch-site": "same-origin"},
        {"host": "localhost", "origin": "http://localhost:80"},
        {"host": "wenmo.example", "origin": "https://wenmo.example"},
        {"host": "wenmo.example:443", "origin": "https://wenmo.example"},
        {"host": "wenmo.example", "x-forwarded-host": "wenmo.example"},
        {"host": "wenmo.example", "sec-fetch-site": "none"},
        {"host": "wenmo.example", "sec-fetch-site": "cross-site"} | VISIT,
    ],
)
def test_requests_of_the_pages_own_host_get_through(headers: dict[str, str]) -> None:
    assert status(headers, ("Wenmo.example",)) == (200, "")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"host": ""},
        {"host": "evil.example"},
        {"host": "evil.example:7860", "origin": "http://evil.example:7860"},
        {"host": "127.0.0.1.evil.example"},
        {"host": "localhost."},
        {"host": "localhost@evil.example"},
        {"host": "evil.example#@localhost"},
        {"host": "localhost/", "origin": "http://localhost/"},
        {"host": "127.0.0.2"},
        {"host": "127.1"},
        {"host": "localhost:x"},
        {"host": "[::1"},
        {"host": "sub.wenmo.example"},
        {"host": "localhost", "x-forwarded-host": "evil.example"},
    ],
)
def test_an_unknown_host_is_told_how_it_can_be_allowed(headers: dict[str, str]) -> None:
    code, text = status(headers, ("wenmo.example",))
    assert code == 403
    assert text.startswith("Host ")
    assert "`--allow-host NAME`" in text
    assert text.count("\n") == 1


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "https://evil.example",
        "http://localhost",  # another port
        "http://localhost:7861",
        "http://127.0.0.1:7860",
        "http://localhost:7860/",
        "http://user@localhost:7860",
        "file://localhost:7860",
        "http://localhost:7860, https://evil.example",
        "http://LOCALHOST.evil.example:7860",
        "http://[",
    ],
)
def test_an_origin_that_is_not_the_host_is_refused(origin: str) -> None:
    for method in ("GET", "POST", "OPTIONS"):
        code, text = status({"host": "localhost:7860", "origin": origin}, method=method)
        assert code == 403
        assert "is not the Host" in text
        assert "--allow-host NAME" in text
        assert text.count("\n") == 1
    socket = status({"host": "localhost:7860", "origin": origin}, type="websocket", scheme="ws")
    assert socket[0] == 403


def test_behind_tls_a_page_without_tls_is_another_site() -> None:
    headers = {"host": "wenmo.example", "origin": "http://wenmo.example:443"}
    assert status(headers, ("wenmo.example",), scheme="https")[0] == 403
    headers["origin"] = "https://wenmo.example"
    assert status(headers, ("wenmo.example",), scheme="https")[0] == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site", "?"])
@pytest.mark.parametrize(
    "request_of",
    [
        {"sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"},
        {"sec-fetch-mode": "no-cors", "sec-fetch-dest": "script"},
        {"sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"},
        {"sec-fetch-mode": "cors"},
    ],
)
def test_what_other_sites_embed_is_refused(site: str, request_of: dict[str, str]) -> None:
    headers = {"host": "localhost", "sec-fetch-site": site} | request_of
    assert status(headers)[0] == 403
    assert status(headers | VISIT)[0] == 200
    assert status(headers | VISIT, method="POST")[0] == 403


@given(st.lists(st.tuples(st.sampled_from([b"host", b"origin", b"sec-fetch-site"]), st.binary())))
def test_any_bytes_are_refused_in_one_line(headers: list[tuple[bytes, bytes]]) -> None:
    code, text = status(headers)
    assert code == 403
    assert len(text.splitlines()) == 1
    assert len(text) < 1000
