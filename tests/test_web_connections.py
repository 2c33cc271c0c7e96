"""Connections that send or read too slowly, on uvicorn with an application of two lines."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from wenmo.tools.writing import web_connections
from wenmo.tools.writing.web_connections import MAX_WAITING, BoundedConnection

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
TIMEOUT = 20
"""Longest wait for what a test expects (seconds)."""


async def application(scope: Any, receive: Any, send: Any) -> None:
    """The whole body and then an answer, which has no end at /endless."""
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    while scope["path"] == "/endless":
        await send({"type": "http.response.body", "body": b"x" * 65_536, "more_body": True})
        await asyncio.sleep(0)
    await send({"type": "http.response.body", "body": b"answered"})


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(web_connections, "REQUEST_SECONDS", 0.5)
    monkeypatch.setattr(web_connections, "STALL_SECONDS", 0.5)
    config = uvicorn.Config(
        application, http=BoundedConnection, ws="none", lifespan="off", log_level="error"
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield listening.getsockname()[1]
        server.force_exit = server.should_exit = True
        thread.join(TIMEOUT)
        assert not thread.is_alive()
    assert not BoundedConnection._waiting


def connected(port: int, sent: bytes = b"") -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), TIMEOUT)
    connection.sendall(sent)
    return connection


def closed(connection: socket.socket) -> bool:
    """Whether the server hangs up without an answer."""
    with connection, contextlib.suppress(ConnectionError):
        return connection.recv(1000) == b""
    return True


@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"G",
        b"GET / HTTP/1.1\r\nHost: local",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nx",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nx",
    ],
)
def test_half_a_request_is_cut_off(port: int, begun: bytes) -> None:
    assert closed(connected(port, begun))


def test_a_request_that_trickles_in_is_cut_off(port: int) -> None:
    connection = connected(port, b"GET / HTTP/1.1\r\n")
    began = time.monotonic()
    with contextlib.suppress(ConnectionError):
        while time.monotonic() < began + TIMEOUT:
            connection.sendall(b"X: y\r\n")
            connection.settimeout(0.05)
            with contextlib.suppress(TimeoutError):
                assert connection.recv(1000) == b""
                break
    assert time.monotonic() < began + TIMEOUT


def test_an_endless_head_is_refused(port: int) -> None:
    with connected(port, b"GET / HTTP/1.1\r\nX: " + b"x" * 100_000) as connection:
        assert connection.recv(1000).startswith(b"HTTP/1.1 400 ")


def test_one_connection_serves_many_requests(port: int) -> None:
    with connected(port) as connection:
        for _ in range(3):
            connection.sendall(REQUEST)
            answer = b""
            while b"answered" not in answer:
                part = connection.recv(1000)
                assert part
                answer += part


def test_an_answer_that_nobody_reads_is_cut_off(port: int) -> None:
    connection = connected(port, REQUEST.replace(b"/ ", b"/endless ", 1))
    began = time.monotonic()
    with pytest.raises(OSError):
        while time.monotonic() < began + TIMEOUT:
            connection.sendall(b"x")
            time.sleep(0.01)
    connection.close()


def test_silent_connections_keep_nobody_out(port: int) -> None:
    silent = [connected(port) for _ in range(3 * MAX_WAITING)]
    with connected(port, REQUEST) as honest:
        assert honest.recv(1000).startswith(b"HTTP/1.1 200 ")
    assert all(closed(connection) for connection in silent)


def test_an_upgrade_is_answered_as_any_other_request(port: int) -> None:
    upgrade = b"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    with connected(port, REQUEST.replace(b"\r\n\r\n", upgrade)) as connection:
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")
