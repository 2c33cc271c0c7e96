"""A stand-in for a reverse proxy with TLS, and a site of somebody else behind the same port."""

import ssl
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import ClientSession, web

from tests.loopback import LoopbackServer

CONTROL = "control"
HOP = {"connection", "content-length", "keep-alive", "transfer-encoding"}


@dataclass
class TlsProxy(LoopbackServer):
    """It hands requests for `page_host` on to `page_url` and answers others with `foreign_page`.

    `answered` has method, path, Origin, names of cookies, and the page's status. The cookie CONTROL
    goes to the page from other sites too, if the browser allows third-party cookies.
    """

    page_host: str
    page_url: str
    folder: Path
    foreign_page: str = ""
    answered: list[tuple[str, str, str, frozenset[str], int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        key, certificate = self.folder / "key.pem", self.folder / "certificate.pem"
        command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1"
        subprocess.run(
            [*command.split(), "-subj", "/CN=x", "-keyout", key, "-out", certificate],
            check=True,
            capture_output=True,
        )
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(certificate, key)

    @property
    def port(self) -> str:
        return self.address.rpartition(":")[2]

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        return app

    async def _answer(self, http: web.Request) -> web.StreamResponse:
        if http.host.partition(":")[0] != self.page_host:
            return web.Response(text=self.foreign_page, content_type="text/html")
        headers = [(name, value) for name, value in http.headers.items() if name.lower() not in HOP]
        headers.append(("X-Forwarded-Proto", "https"))
        body = await http.read()
        async with (
            ClientSession(auto_decompress=False) as session,
            session.request(
                http.method,
                self.page_url + http.path_qs,
                headers=headers,
                data=body or None,
                allow_redirects=False,
            ) as answer,
        ):
            origin, cookies = http.headers.get("Origin", ""), frozenset(http.cookies)
            self.answered.append((http.method, http.path, origin, cookies, answer.status))
            passed = web.StreamResponse(status=answer.status)
            for name, value in answer.headers.items():
                if name.lower() not in HOP:
                    passed.headers.add(name, value)
            passed.set_cookie(CONTROL, "1", secure=True, samesite="None")
            await passed.prepare(http)
            async for part in answer.content.iter_any():
                await passed.write(part)
            return passed
