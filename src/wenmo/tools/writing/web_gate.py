"""What stands before the page: only the page's own requests, within bounds, get to Gradio."""

import math
from collections import Counter
from collections.abc import Callable
from http.cookies import SimpleCookie

from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from wenmo.tools.same_host import Application, Message, Receive, Send
from wenmo.tools.writing.web_clients import Guesses, client_of

MAX_BODY = 65_536
"""Longest body of a request (bytes)."""

MAX_OPEN = 300
"""Requests of one client that may be open at a time: 50 browsers behind one address have as many
while they load the page, and one or two each after that."""

MESSAGES = "/gradio_api/queue/data"
PUBLIC = ("/", "/favicon.ico", "/login", "/robots.txt", "/theme.css")
PUBLIC_FOLDERS = ("/assets/", "/static/")
PRIVATE = ("/config", "/gradio_api/app_id", MESSAGES, "/gradio_api/startup-events")
PRIVATE_FOLDERS = ("/gradio_api/heartbeat/",)
POSTED = (
    *("/login", "/gradio_api/run/predict", "/gradio_api/queue/join"),
    *("/gradio_api/cancel", "/gradio_api/reset"),
)
"""The routes that the page uses; Gradio's others do not exist here, /logout among them."""

OTHER_PAGES = ("page", "deep_link")
"""Parts of an address by which Gradio would look for other pages."""

HEADERS = {
    # Gradio's script needs eval; everything else comes from this server.
    "content-security-policy": (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval';"
        " style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:;"
        " object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    # The address of the page may hold a prompt.
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


class WithHeaders:
    """Adds HEADERS to every response."""

    def __init__(self, app: Application) -> None:
        self.app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """https://asgi.readthedocs.io/en/latest/specs/www.html."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self.app(scope, receive, send_with_headers)


class Gate:
    """Refuses what the page would not send, and requests of clients that have too many.

    `fault` tells what is wrong with a JSON body that is sent to a path. With `password`, what needs
    a login is checked here too, since Gradio answers some of its routes without one.
    """

    def __init__(
        self, app: Application, fault: Callable[[str, bytes], str], *, password: bool
    ) -> None:
        self.app = app
        self.fault = fault
        self.password = password
        self.guesses = Guesses()
        self.open = Counter[str]()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """https://asgi.readthedocs.io/en/latest/specs/www.html."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        client = client_of(scope)
        if self.open[client] >= MAX_OPEN:
            return await _refusal(429, "too many open requests", wait=1)(scope, receive, send)
        self.open[client] += 1
        try:
            await self._answer(scope, receive, send)
        finally:
            self.open[client] -= 1
            if not self.open[client]:
                del self.open[client]

    async def _answer(self, scope: Message, receive: Receive, send: Send) -> None:
        path, method = scope["path"], scope["method"]
        refusal = _refused_route(path, method) or _refused_query(scope)
        if not refusal and self.password and _is_private(path) and not await self._logged_in(scope):
            refusal = _refusal(401, "log in first")
        if refusal:
            return await refusal(scope, receive, send)
        if path == MESSAGES:
            return await self._send_messages(scope, receive, send)
        if method != "POST":
            return await self.app(scope, receive, send)
        body = await _read(scope, receive)
        if body is None:
            refusal = _refusal(413, f"the body is longer than {MAX_BODY} bytes")
            return await refusal(scope, receive, send)
        if path == "/login":
            return await self._log_in(scope, _again(body, receive), send)
        fault = self.fault(path, body)
        if fault:
            return await _refusal(422, fault)(scope, receive, send)
        await self.app(scope, _again(body, receive), send)

    async def _send_messages(self, scope: Message, receive: Receive, send: Send) -> None:
        """Messages to a browser; if its texts were dropped, Gradio tells that and then fails."""
        try:
            await self.app(scope, receive, send)
        except RuntimeError as error:
            if not isinstance(error.__cause__, HTTPException):
                raise
            await send({"type": "http.response.body", "body": b""})

    async def _logged_in(self, scope: Message) -> bool:
        """Whether Gradio knows the request's cookie."""
        path = "/gradio_api/login_check"
        check = {**scope, "method": "GET", "path": path, "raw_path": path.encode()}
        status = 0

        async def nothing() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def note(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)

        await self.app(check, nothing, note)
        return status == 200

    async def _log_in(self, scope: Message, receive: Receive, send: Send) -> None:
        """Let a client guess the password, unless it has to wait."""
        client = client_of(scope)
        wait = self.guesses.wait(client)
        if wait:
            return await _refusal(429, "too many wrong passwords", wait)(scope, receive, send)

        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                if message["status"] == 200:
                    self.guesses.was_right(client)
                message["headers"] = [
                    (name, value)
                    if name != b"set-cookie"
                    else (name, _cookie(value.decode("latin-1"), scope["scheme"]).encode("latin-1"))
                    for name, value in message["headers"]
                    if name != b"set-cookie" or _is_wanted(value, scope["scheme"])
                ]
            await send(message)

        await self.app(scope, receive, send_with_cookie)


def _refusal(status: int, detail: str, wait: float = 0) -> Response:
    """An answer in the form that Gradio's script shows to the user."""
    headers = {"retry-after": f"{math.ceil(wait)}"} if wait else {}
    return JSONResponse({"detail": detail}, status, headers)


def _refused_route(path: str, method: str) -> Response | None:
    read = path in (*PUBLIC, *PRIVATE) or path.startswith((*PUBLIC_FOLDERS, *PRIVATE_FOLDERS))
    if not read and path not in POSTED:
        return _refusal(404, "no such page")
    allowed = path in POSTED if method == "POST" else read and method in ("GET", "HEAD")
    return None if allowed else _refusal(405, f"not by {method[:20]}")


def _refused_query(scope: Message) -> Response | None:
    given = QueryParams(scope["query_string"])
    other = [name for name in OTHER_PAGES if name in given]
    return _refusal(422, f"{other[0]}: there is no other page") if other else None


def _is_private(path: str) -> bool:
    return path not in PUBLIC and not path.startswith(PUBLIC_FOLDERS)


async def _read(scope: Message, receive: Receive) -> bytes | None:
    """The body; None if it is too long."""
    length = Headers(scope=scope).get("content-length", "0")
    if int(length) > MAX_BODY:
        return None
    body = b""
    while True:
        message = await receive()
        part: bytes = message.get("body", b"")
        body += part
        if len(body) > MAX_BODY:
            return None
        if not message.get("more_body"):
            return body


def _again(body: bytes, receive: Receive) -> Receive:
    """`receive` for a body that has been read."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return messages.pop() if messages else await receive()

    return receive_again


def _is_wanted(cookie: bytes, scheme: str) -> bool:
    """Gradio sets one cookie for https and one for http; the other one would be refused or weak."""
    return cookie.startswith(b"access-token-unsecure-") == (scheme != "https")


def _cookie(cookie: str, scheme: str) -> str:
    """The cookie, sent by this page alone and, over TLS, never without it."""
    parsed: SimpleCookie = SimpleCookie(cookie)
    (morsel,) = parsed.values()
    # Not Strict, with which a link to a text would ask for the password again.
    morsel["samesite"], morsel["httponly"], morsel["path"] = "Lax", True, "/"
    morsel["secure"] = scheme == "https"
    return morsel.OutputString()
