"""Plain HTTP to the page of `wenmo web`, without a browser: honest clients and hostile ones."""

import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

TIMEOUT = 60
"""Longest wait for an answer (seconds)."""

SAMPLING = [0.7, 0.9, 0, 1, 60]
"""Temperature, top_p, top_k, repetition penalty, tokens."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def detail(self) -> str:
        return str(json.loads(self.body)["detail"])


@dataclass(frozen=True)
class PageClient:
    """A client at `address` of loopback, which talks to the page at `url`."""

    url: str
    address: str = "127.0.0.1"
    cookie: str = ""

    def request(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """An answer and its whole body."""
        with self.answer(method, path, body, headers) as answer:
            return Answer(answer.status, answer.headers, answer.read())

    @contextmanager
    def answer(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Iterator[http.client.HTTPResponse]:
        """An answer that may not end. `body` is sent as JSON if it is no bytes."""
        connection = self.connection()
        sent = dict(headers or {})
        if self.cookie:
            sent.setdefault("Cookie", self.cookie)
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        try:
            connection.request(method, path, body, sent)
            yield connection.getresponse()
        finally:
            connection.close()

    def connection(self) -> http.client.HTTPConnection:
        place = urlsplit(self.url)
        assert place.hostname
        source = None if place.hostname == "::1" else (self.address, 0)
        return http.client.HTTPConnection(
            place.hostname, place.port, timeout=TIMEOUT, source_address=source
        )

    def raw(self, sent: bytes = b"") -> socket.socket:
        """A connection on which anything can be sent."""
        place = urlsplit(self.url)
        other = socket.create_connection(
            (place.hostname, place.port), TIMEOUT, source_address=(self.address, 0)
        )
        other.sendall(sent)
        return other

    def stream(self, route: str) -> socket.socket:
        """A connection with an answer that nobody reads."""
        head = f"GET /gradio_api/{route} HTTP/1.1\r\nHost: localhost\r\n\r\n"
        return self.raw(head.encode())

    def log_in(self, user: str, password: str, headers: Mapping[str, str] | None = None) -> Answer:
        body = f"username={user}&password={password}".encode()
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return self.request("POST", "/login", body, kind | dict(headers or {}))

    def functions(self) -> dict[int, list[str]]:
        """The page's functions with the types of the values that they take."""
        config = json.loads(self.request("GET", "/config").body)
        types = {each["id"]: each["type"] for each in config["components"]}
        return {
            each["id"]: [types[component] for component in each["inputs"]]
            for each in config["dependencies"]
            if each["backend_fn"]
        }

    def writing(self) -> int:
        """The function that writes both texts of the first tab."""
        takes = ["textbox", *["dropdown"] * 3, "number", *["slider"] * len(SAMPLING)]
        return next(number for number, types in self.functions().items() if types == takes)

    def join(self, session: str, function: int, typed: Any = "雪", tokens: int = 60) -> Answer:
        """Ask for both texts."""
        values = [typed, "五言绝句", "free", "", 1, *SAMPLING[:-1], tokens]
        body = {"data": values, "fn_index": function, "session_hash": session}
        return self.request("POST", "/gradio_api/queue/join", body)

    def read(self, session: str) -> list[dict[str, Any]]:
        """All messages to a session that has joined the queue, until the last text has ended."""
        with self.answer("GET", f"/gradio_api/queue/data?session_hash={session}") as stream:
            assert stream.status == 200, stream.read()
            return [
                json.loads(line.removeprefix(b"data: "))
                for line in stream
                if line.startswith(b"data: ")
            ]

    def texts(self, session: str, function: int) -> list[str]:
        """Both texts, as an honest browser asks for them."""
        joined = self.join(session, function)
        assert joined.status == 200, joined.body
        completed = [each for each in self.read(session) if each["msg"] == "process_completed"]
        assert completed[0]["success"], completed
        return completed[0]["output"]["data"][:2]
