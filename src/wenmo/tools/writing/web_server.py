"""The page's server: it needs a password beyond loopback, and the page loads from no other host."""

import errno
import ipaddress
import os
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from logging import CRITICAL, getLogger
from typing import Any

from wenmo.core.errors import ParamsError, UserError
from wenmo.core.keys import secret

# Gradio reads this when it is imported.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

PORTS = 100
"""Number of ports to try, from the wanted one on."""

HEADERS = {
    # Gradio's script needs eval; everything else comes from this server.
    "content-security-policy": (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval';"
        " style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:;"
        " object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
    ),
    # The address of the page may hold a prompt.
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]


class WithHeaders:
    """An ASGI application that adds HEADERS to every response."""

    def __init__(self, app: Application) -> None:
        self.app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """https://asgi.readthedocs.io/en/latest/specs/www.html."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                added = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message["headers"] = [*message.get("headers", ()), *added]
            await send(message)

        await self.app(scope, receive, send_with_headers)


def check_access(host: str, auth: str) -> tuple[str, str] | None:
    """User and password from `user:VARIABLE`, which names the environment variable to read.

    Raises ParamsError if other machines could connect without a password, or it is not set.
    """
    if not auth:
        if not is_loopback(host):
            raise ParamsError(
                f"--host {host} is open to other machines; add --auth user:VARIABLE, with the"
                " password in that environment variable"
            )
        return None
    user, _, name = auth.partition(":")
    if not user or not name:
        raise ParamsError(f"--auth {user}: expected user:VARIABLE")
    password = secret(name)
    if not password:
        raise ParamsError(f"--auth: the environment variable {name} is not set")
    return user, password


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect to the address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def listening_socket(host: str, port: int) -> socket.socket:
    """A socket that listens at the first free port from `port` on (0: any).

    Raises UserError if there is none.
    """
    for candidate in range(port, min(port + PORTS, 2**16)) if port else [0]:
        try:
            return socket.create_server(
                (host, candidate), family=socket.AF_INET6 if ":" in host else socket.AF_INET
            )
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise UserError(
                    f"{host}:{candidate}: {(error.strerror or str(error)).lower()};"
                    " choose another --host or --port"
                ) from None
    raise UserError(f"{host}: ports {port} to {candidate} are busy; choose another --port")


def serve(page: Any, sock: socket.socket, auth: tuple[str, str] | None) -> None:
    """Serve the page until Ctrl-C or SIGTERM."""
    import gradio as gr
    import uvicorn
    from fastapi import FastAPI

    from wenmo.tools.writing.web_tab import translated
    from wenmo.tools.writing.web_theme import css, theme

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    gr.mount_gradio_app(
        app,
        page,
        path="/",
        auth=auth,
        allowed_paths=[],
        show_error=False,
        max_file_size=1,
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        i18n=translated,
        theme=theme(),
        css=css(),
    )

    class Server(uvicorn.Server):
        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            """Cut the connections that open pages keep, without uvicorn's error messages."""
            getLogger("uvicorn.error").setLevel(CRITICAL)
            await super().shutdown(sockets)

    config = uvicorn.Config(
        WithHeaders(app), log_level="warning", timeout_graceful_shutdown=1, lifespan="on"
    )
    Server(config).run(sockets=[sock])
