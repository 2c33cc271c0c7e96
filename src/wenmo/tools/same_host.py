"""ASGI middleware of both servers: a request must name a known host and come from its own pages.

The check of Host ends DNS rebinding, in which a foreign name resolves to this machine; the check of
Origin and of Sec-Fetch-Site ends requests that pages of other sites make with a user's cookies:
https://web.dev/articles/fetch-metadata. Starlette's TrustedHostMiddleware checks the Host alone and
does not tell the way out.
"""

import os
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import Any
from urllib.parse import urlsplit

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

VARIABLE = "WENMO_ALLOWED_HOSTS"
"""Environment variable with the names for `SameHost`, separated by spaces."""

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
PORTS = {"http": 80, "https": 443}
SINGLE = (b"host", b"x-forwarded-host", b"origin")
MAX_QUOTED = 100
"""Longest part of a header that an answer quotes (characters)."""


def host_names(host: str, allowed: Sequence[str]) -> list[str]:
    """The names that requests may have as Host: loopback, the address listened on, the allowed."""
    return sorted({*LOOPBACK_NAMES, host.lower(), *(name.strip("[]").lower() for name in allowed)})


class SameHost:
    """Answers 403 in one line unless Host is one of `names` and a browser's page is of that host.

    Without `names`, which a server that is given only this class cannot pass, those of VARIABLE.
    """

    def __init__(self, app: Application, names: Sequence[str] = ()) -> None:
        self.app = app
        self.names = frozenset(names or os.environ.get(VARIABLE, "").split() or LOOPBACK_NAMES)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """https://asgi.readthedocs.io/en/latest/specs/www.html."""
        # The command `wenmo serve` reads this module before it looks for a server.
        from starlette.responses import PlainTextResponse

        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        fault = self._fault(scope)
        if not fault:
            return await self.app(scope, receive, send)
        if scope["type"] == "websocket":
            return await send({"type": "websocket.close", "code": 1008})
        return await PlainTextResponse(f"{fault}\n", status_code=403)(scope, receive, send)

    def _fault(self, scope: Message) -> str:
        """Why a request is refused; empty if it is not."""
        headers: dict[str, str] = {}
        for name, value in scope["headers"]:
            if name in SINGLE and name.decode() in headers:
                return f"{name.decode()} is given twice"
            headers[name.decode("latin-1")] = value.decode("latin-1")
        secure = scope["scheme"] in ("https", "wss")
        host = headers.get("host", "")
        for name in (host, headers.get("x-forwarded-host", host)):
            if (_address(f"http://{name}") or ("",))[0] not in self.names:
                return (
                    f"Host {name[:MAX_QUOTED]!r} is not allowed;"
                    " start the server with `--allow-host NAME` for each name that it has"
                )
        origin = headers.get("origin")
        if origin is not None:
            scheme = origin.partition(":")[0]
            own = _address(f"{scheme}://{host}")
            if not own or _address(origin) != own or (secure and scheme == "http"):
                return (
                    f"Origin {origin[:MAX_QUOTED]!r} is not the Host {host[:MAX_QUOTED]!r}, and"
                    " requests of other sites are refused; a proxy must pass the Host on, which"
                    " `--allow-host NAME` allows"
                )
        foreign = headers.get("sec-fetch-site", "none") not in ("same-origin", "none")
        if foreign and origin is None and not _is_visit(scope, headers):
            return "requests of other sites are refused"
        return ""


def _address(origin: str) -> tuple[str, int] | None:
    """Host name and port of an origin; None if it is none."""
    try:
        parts = urlsplit(origin)
        plain = not (parts.path or parts.query or parts.fragment or "@" in parts.netloc)
        if parts.scheme in PORTS and parts.hostname and plain:
            return parts.hostname, parts.port or PORTS[parts.scheme]
    except ValueError:
        pass
    return None


def _is_visit(scope: Message, headers: Mapping[str, str]) -> bool:
    """Whether a user follows a link to a page, outside any frame."""
    return (
        scope.get("method") == "GET"
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
    )
