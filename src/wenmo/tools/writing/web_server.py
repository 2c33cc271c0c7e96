"""The page's server: its socket, its password and its limits."""

import errno
import ipaddress
import os
import socket
from collections.abc import Sequence
from functools import partial
from logging import CRITICAL, getLogger
from typing import Any

from wenmo.core.errors import ParamsError, UserError
from wenmo.core.keys import secret
from wenmo.core.system_words import system_words

# Gradio reads this when it is imported.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

PORTS = 100
"""Number of ports to try, from the wanted one on."""

MAX_CONNECTIONS = 400
"""Connections that are open at a time; requests of further ones are answered with 503."""

MAX_HEADERS = 16_384
"""Longest head of a request (bytes)."""


def check_access(host: str, auth: str) -> tuple[str, str] | None:
    """User and password from `user:VARIABLE`, which names the environment variable to read.

    Raises ParamsError if other machines could connect without a password, or it is not set.
    """
    if not auth:
        if not is_loopback(host):
            raise ParamsError(
                "--host {host} is open to other machines; add --auth user:VARIABLE, with the"
                " password in that environment variable",
                host=host,
            )
        return None
    user, _, name = auth.partition(":")
    if not user or not name:
        raise ParamsError("--auth {user}: expected user:VARIABLE", user=user)
    password = secret(name)
    if not password:
        raise ParamsError("--auth: the environment variable {name} is not set", name=name)
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
                    "{host}:{port}: {reason}; choose another --host or --port",
                    host=host,
                    port=candidate,
                    reason=system_words(error).lower(),
                ) from None
    raise UserError(
        "{host}: ports {first} to {last} are busy; choose another --port",
        host=host,
        first=port,
        last=candidate,
    )


def serve(
    page: Any,
    sock: socket.socket,
    auth: tuple[str, str] | None,
    host: str,
    allowed_hosts: Sequence[str],
) -> None:
    """Serve the page until Ctrl-C or SIGTERM.

    Requests must have the name `host`, one of loopback or one of `allowed_hosts`. Only with the
    last is there a proxy, whose word on address and scheme of its clients is taken; the variable
    FORWARDED_ALLOW_IPS names proxies on other machines.
    """
    import gradio as gr
    import uvicorn
    from fastapi import FastAPI

    from wenmo.tools.same_host import SameHost, host_names
    from wenmo.tools.writing.web_connections import BoundedConnection
    from wenmo.tools.writing.web_gate import Gate, WithHeaders
    from wenmo.tools.writing.web_texts import translated
    from wenmo.tools.writing.web_theme import css, theme
    from wenmo.tools.writing.web_values import fault

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

    gate = Gate(app, partial(fault, page), password=auth is not None)
    config = uvicorn.Config(
        WithHeaders(SameHost(gate, host_names(host, allowed_hosts))),
        http=BoundedConnection,
        ws="none",
        limit_concurrency=MAX_CONNECTIONS,
        h11_max_incomplete_event_size=MAX_HEADERS,
        proxy_headers=bool(allowed_hosts),
        server_header=False,
        log_level="warning",
        timeout_graceful_shutdown=1,
        lifespan="on",
    )
    Server(config).run(sockets=[sock])
