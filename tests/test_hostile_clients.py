"""`wenmo web` among clients that mean harm, by plain HTTP."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.crowd import Crowd, answered
from tests.page_client import PageClient
from tests.small_demo import page_process, served, small_repository
from tests.streaming_server import StreamingServer
from wenmo.config.params_file import TASKS
from wenmo.tools.writing.web_clients import FREE_GUESSES, GUESSES_OF_ALL, Guesses, client_of
from wenmo.tools.writing.web_gate import MAX_BODY, MAX_OPEN
from wenmo.tools.writing.web_page import MAX_WRITING
from wenmo.tools.writing.web_queue import MAX_OF_CLIENT, MAX_WAITING

TEXT = "一篙春水绿，\n两岸杏花齐。"
# What a test may add to the memory of the page (bytes): far below any body times the clients that
# send it, and above what an allocator keeps.
MAX_GROWTH = 64_000_000
PASSWORD = ("--auth", "me:SECRET", "--allow-host", "wenmo.example")
BEHIND_TLS = {"Host": "wenmo.example", "X-Forwarded-Proto": "https"}
ROUTES = [
    *(("GET", "/"), ("GET", "/config"), ("GET", "/theme.css"), ("GET", "/assets/x.js")),
    *(("POST", "/login"), ("POST", "/gradio_api/queue/join"), ("GET", "/logout")),
    *(("POST", "/gradio_api/run/predict"), ("GET", "/gradio_api/queue/data?session_hash=x")),
    *(("GET", "/gradio_api/heartbeat/x"), ("POST", "/gradio_api/cancel"), ("OPTIONS", "/config")),
]


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    return small_repository(tmp_path_factory.mktemp("web") / "wenmo", tiny_model, TASKS)


@pytest.fixture(scope="module")
def server() -> Iterator[StreamingServer]:
    with StreamingServer() as server:
        yield server


@pytest.fixture(scope="module")
def page(repository: Path, server: StreamingServer) -> Iterator[tuple[PageClient, psutil.Process]]:
    with page_process(repository, "--port", "0", "--endpoint", server.url) as (url, process):
        client = PageClient(url)
        client.texts("first", client.writing())  # which loads what every text needs
        yield client, psutil.Process(process.pid)


@pytest.fixture
def client(page: tuple[PageClient, psutil.Process]) -> Iterator[PageClient]:
    """A client whose requests may take no memory of the page; each has to be answered in time."""
    client, process = page
    before = process.memory_info().rss
    yield client
    assert process.memory_info().rss - before < MAX_GROWTH


@pytest.fixture(scope="module")
def locked(repository: Path, server: StreamingServer) -> Iterator[PageClient]:
    """A page with a password, behind a proxy."""
    arguments = ("--port", "0", "--endpoint", server.url, *PASSWORD)
    with served(repository, *arguments, SECRET="correct horse") as url:
        yield PageClient(url)


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_no_route_answers_another_site(client: PageClient, method: str, path: str) -> None:
    for foreign in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Host": "evil.example"},
        {"Host": "evil.example", "Origin": "http://evil.example"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
        {"Origin": "https://evil.example", "Upgrade": "websocket", "Connection": "Upgrade"},
    ):
        answer = client.request(method, path, headers=foreign)
        assert answer.status == 403
        assert answer.body.count(b"\n") == (method != "HEAD")
        assert answer.headers["Access-Control-Allow-Origin"] is None
        if "Sec-Fetch-Site" not in foreign:
            assert b"--allow-host NAME" in answer.body


def test_another_address_of_loopback_is_no_way_around(
    repository: Path, server: StreamingServer
) -> None:
    with served(repository, "--port", "0", "--endpoint", server.url, "--host", "::1") as url:
        client = PageClient(url)
        assert client.request("GET", "/config").status == 200
        assert client.request("GET", "/config", headers={"Host": "evil.example"}).status == 403
        assert client.request("GET", "/config", headers={"Origin": "null"}).status == 403


@pytest.mark.parametrize(
    "path",
    [
        *("/logout", "/gradio_api/upload", "/gradio_api/file=/etc/passwd", "/gradio_api/info"),
        *("/gradio_api/proxy=http://127.0.0.1/", "/gradio_api/vibe-code", "/gradio_api/token"),
        *("/gradio_api/call/predict", "/gradio_api/deep_link?session_hash=x", "/monitoring"),
        *("/gradio_api/openapi.json", "/gradio_api/process_recording", "/gradio_api/dev/reload"),
        *("/gradio_api/stream/x", "/gradio_api/component_server", "//config", "/config/"),
    ],
)
def test_what_the_page_does_not_use_does_not_exist(client: PageClient, path: str) -> None:
    for method in ("GET", "POST"):
        assert client.request(method, path).status == 404


def test_headers_keep_the_page_to_itself(client: PageClient) -> None:
    for path in ("/", "/config", "/nowhere"):
        headers = client.request("GET", path).headers
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "Server" not in headers


# --- The login.


def test_the_cookie_is_sent_to_this_page_alone(locked: PageClient) -> None:
    for headers, secure in (({}, False), (BEHIND_TLS, True)):
        answer = locked.log_in("me", "correct+horse", headers)
        [cookie] = answer.headers.get_all("Set-Cookie")
        parts = {part.strip().lower() for part in cookie.split(";")[1:]}
        assert {"httponly", "samesite=lax", "path=/"} <= parts
        assert ("secure" in parts) == secure
        mine = PageClient(locked.url, cookie=cookie.partition(";")[0])
        assert mine.request("GET", "/config", headers=headers).status == 200
        assert mine.request("GET", "/logout", headers=headers).status == 404
        assert mine.request("GET", "/config", headers=headers).status == 200


def test_without_a_login_nothing_is_done(locked: PageClient) -> None:
    for method, path in ROUTES:
        if path.startswith(("/gradio_api", "/config")) and method != "OPTIONS":
            assert locked.request(method, path).status == 401
    forged = PageClient(locked.url, cookie="access-token-unsecure-x=1")
    assert forged.request("GET", "/gradio_api/heartbeat/x").status == 401


def test_passwords_cannot_be_guessed(locked: PageClient) -> None:
    """Neither by one client, which keeps nobody else out, nor by many together."""
    answers = [locked.log_in("me", f"wrong{number}") for number in range(200)]
    assert [each.status for each in answers[:FREE_GUESSES]] == [400] * FREE_GUESSES
    refused = [each for each in answers if each.status == 429]
    assert len(refused) > 180
    assert all(int(each.headers["Retry-After"]) >= 1 for each in refused)
    assert locked.log_in("me", "correct+horse").status == 429
    assert PageClient(locked.url, "127.0.0.3").log_in("me", "correct+horse").status == 200
    # Behind the proxy each browser is another client.
    forwarded = {"X-Forwarded-For": "192.0.2.1"} | BEHIND_TLS
    assert locked.log_in("me", "correct+horse", forwarded).status == 200

    crowd = [PageClient(locked.url, f"127.0.1.{number}") for number in range(2 * GUESSES_OF_ALL)]
    statuses = [each.log_in("me", "wrong").status for each in crowd]
    assert statuses == sorted(statuses)
    assert set(statuses) == {400, 429}
    assert statuses.count(400) <= GUESSES_OF_ALL


def test_the_wait_doubles_and_a_right_password_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("wenmo.tools.writing.web_clients.time.monotonic", lambda: now)
    guesses, waits = Guesses(), []
    for _ in range(FREE_GUESSES + 12):
        while wait := guesses.wait("a"):
            waits.append(wait)
            now += wait
    assert waits[:4] == [1, 2, 4, 8]
    assert max(waits) == 300
    now += 300
    assert guesses.wait("a") == 0
    guesses.was_right("a")
    assert [guesses.wait("a") for _ in range(FREE_GUESSES + 1)] == [0] * FREE_GUESSES + [1]


def test_an_address_of_ipv6_is_no_new_client() -> None:
    assert client_of({"client": ("2001:db8::1", 1)}) == client_of({"client": ("2001:db8::2", 2)})
    assert client_of({"client": ("2001:db8:0:1::1", 1)}) != client_of(
        {"client": ("2001:db8::1", 1)}
    )
    assert client_of({"client": ("::ffff:192.0.2.1", 1)}) == client_of({"client": ("192.0.2.1", 1)})


# --- Bodies.


def test_a_long_body_is_refused_and_leaves_no_memory(
    page: tuple[PageClient, psutil.Process],
) -> None:
    client, process = page
    path = "/gradio_api/queue/join"
    assert client.request("POST", path, b" " * MAX_BODY).status == 422
    before = process.memory_info().rss
    for _ in range(5):
        assert client.request("POST", path, b" " * 50_000_000).status == 413
        chunks = b"1000\r\n" + b" " * 4096 + b"\r\n"
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        for size in (0, 1, 20, 1000):  # before the limit and beyond
            with client.raw(head.encode() + chunks * size + b"no chunk\r\n") as other:
                assert other.recv(1000)[:13] in (b"HTTP/1.1 400 ", b"HTTP/1.1 413 ")
    assert process.memory_info().rss - before < 20_000_000


def wrong_bodies() -> dict[str, bytes]:
    values = {
        "data": ["雪", "五言绝句", "free", "", 1, 0.7, 0.9, 0, 1, 60],
        "fn_index": 0,
        "session_hash": "x",
    }

    def body(**changed: Any) -> bytes:
        text = str(values | changed).replace("'", '"').replace("None", "null")
        return (
            text.replace("True", "true").replace("nan", "NaN").replace("inf", "Infinity").encode()
        )

    def at(place: int, value: Any) -> bytes:
        return body(data=[*values["data"][:place], value, *values["data"][place + 1 :]])

    return {
        "no JSON": b"{",
        "a list": b"[]",
        "null": b"null",
        "nothing": b"",
        "no UTF-8": b'{"data": ["\xff"]}',
        "deep": b"[" * 60_000,
        "long integer": body(fn_index=int("9" * 4000)),
        "longer integer": body().replace(b'"fn_index": 0', b'"fn_index": ' + b"9" * 50_000),
        "half a character": body().replace("雪".encode(), b"\\ud800"),
        "unknown function": body(fn_index=10_000),
        "function below 0": body(fn_index=-1),
        "function as text": body(fn_index="0"),
        "function as number": body(fn_index=0.5),
        "function as boolean": body(fn_index=True),
        "no function": body(fn_index=None),
        "no session": body(session_hash=None),
        "session as number": body(session_hash=1),
        "long session": body(session_hash="x" * 65),
        "session as path": body(session_hash="../x"),
        "data as text": body(data="x"),
        "data as object": body(data={}),
        "too little data": body(data=[]),
        "too much data": body(data=[*values["data"], 1]),
        "unknown key": body(batched=True),
        "typed null": at(0, None),
        "typed number": at(0, 1),
        "typed list": at(0, []),
        "form null": at(1, None),
        "form unknown": at(1, "x"),
        "form object": at(1, {}),
        "rule null": at(2, None),
        "rule unknown": at(2, "x"),
        "rhyme object": at(3, {}),
        "rhyme unknown": at(3, "x"),
        "seed text": at(4, "x"),
        "seed NaN": at(4, math.nan),
        "temperature null": at(5, None),
        "temperature NaN": at(5, math.nan),
        "temperature Infinity": at(5, math.inf),
        "temperature text": at(5, "0.7"),
        "temperature boolean": at(5, True),
        "temperature above": at(5, 2.5),
        "tokens below": at(9, 0),
        "tokens huge": at(9, int("9" * 400)),
    }


@pytest.mark.parametrize("name", wrong_bodies())
@pytest.mark.parametrize("path", ["queue/join", "run/predict"])
def test_a_wrong_value_is_told_in_one_line(client: PageClient, name: str, path: str) -> None:
    body = wrong_bodies()[name].replace(
        b'"fn_index": 0', f'"fn_index": {client.writing()}'.encode()
    )
    answer = client.request("POST", f"/gradio_api/{path}", body)
    assert answer.status == 422
    assert len(answer.detail) < 200
    assert "\n" not in answer.detail


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"event_id": 1}', b'{"event_id": "x", "y": 1}'])
def test_so_is_a_wrong_value_of_the_other_routes(client: PageClient, body: bytes) -> None:
    for path in ("cancel", "reset"):
        assert client.request("POST", f"/gradio_api/{path}", body).status == 422
    for query in ("page=x", "deep_link=../x"):
        assert client.request("GET", f"/?{query}").status == 422
    assert client.request("GET", "/gradio_api/queue/data").status == 422
    assert client.read("unknown")[-1]["session_not_found"]


# --- Places.


def test_texts_that_nobody_reads_hold_no_place(client: PageClient) -> None:
    """More of them than there are places to write and to wait."""
    function = client.writing()
    silent = [
        PageClient(client.url, f"127.0.2.{number}").join(f"silent{number}", function).status
        for number in range(MAX_WRITING + MAX_WAITING + 1)
    ]
    assert set(silent) == {200}
    assert client.texts("honest", function) == [TEXT, TEXT]


def test_a_silent_client_keeps_nobody_at_its_own_address_out(client: PageClient) -> None:
    function = client.writing()
    for number in range(2 * MAX_OF_CLIENT):
        assert client.join(f"mute{number}", function).status == 200
    assert client.texts("frank", function) == [TEXT, TEXT]


@pytest.mark.full
def test_one_client_gets_a_share_of_the_places(client: PageClient, server: StreamingServer) -> None:
    function = client.writing()
    server.endless = True
    greedy = PageClient(client.url, "127.0.0.9")
    streams = []
    try:
        joined = []
        for number in range(MAX_OF_CLIENT + 1):
            joined.append(greedy.join(f"greedy{number}", function).status)
            streams.append(greedy.stream(f"queue/data?session_hash=greedy{number}"))
            streams[-1].recv(100)
        assert joined == [200] * MAX_OF_CLIENT + [503]
        assert client.join("other", function).status == 200
        with client.answer("GET", "/gradio_api/queue/data?session_hash=other") as mine:
            assert any(b"process_starts" in line for line in mine)
    finally:
        server.endless = False
        for stream in streams:
            stream.close()
    assert client.texts("another", function) == [TEXT, TEXT]


def test_open_requests_of_a_client_are_bounded(client: PageClient) -> None:
    other = PageClient(client.url, "127.0.0.8")
    streams = [other.stream("heartbeat/x") for _ in range(MAX_OPEN)]
    try:
        assert all(b" 200 " in stream.recv(100) for stream in streams)
        refused = other.request("GET", "/config")
        assert refused.status == 429
        assert refused.headers["Retry-After"] == "1"
        assert client.request("GET", "/config").status == 200
    finally:
        for stream in streams:
            stream.close()


@pytest.mark.full
def test_honest_users_are_answered_in_a_hostile_crowd(
    page: tuple[PageClient, psutil.Process],
) -> None:
    """`python -m bench.crowd` does the same with 2,000 requests."""
    client, process = page
    crowd = Crowd(client.url, silent=30, fickle=30, heavy=10)
    with crowd.around():
        assert answered(client.url, users=20, requests=40) == {TEXT}
        before = process.memory_info().rss
        assert answered(client.url, users=20, requests=40) == {TEXT}
    assert process.memory_info().rss - before < MAX_GROWTH
    assert {200, 413} <= set(crowd.statuses) <= {200, 413, 429, 503}
