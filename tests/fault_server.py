"""A stand-in for an endpoint, with faults that a real server won't produce on demand.

Its answer is a function of the request's hash, so that equal requests get equal answers. It fails
at set rates and counts the answers that a real endpoint would have charged for.
"""

import asyncio
import hashlib
import json
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.loopback import LoopbackServer


@dataclass
class Faults:
    """Share of requests with each fault (0 to 1), latency (seconds), and a status for them all."""

    too_many: float = 0.0
    server_error: float = 0.0
    hang: float = 0.0
    truncated: float = 0.0
    empty: float = 0.0
    overlong: float = 0.0
    latency: float = 0.0
    status: int = 0


@dataclass
class Paid:
    """One answer: the hash of its request, and when the request came and the answer left."""

    request: str
    started: float
    ended: float


Instead = Callable[[dict[str, Any]], web.Response | None]
"""A function from a request to an answer in place of the usual one; None: the usual one."""


@dataclass
class FaultServer(LoopbackServer):
    """It runs inside a `with` block; `url` is the endpoint's base_url, `bodies` the requests."""

    faults: Faults = field(default_factory=Faults)
    instead: Instead = lambda request: None
    bodies: list[dict[str, Any]] = field(default_factory=list)
    paid: list[Paid] = field(default_factory=list)
    calls: int = 0
    most_at_once: int = 0
    headers_seen: list[str] = field(default_factory=list)
    now = staticmethod(time.monotonic)

    def __post_init__(self) -> None:
        self.draw = random.Random(1)
        self.at_once = 0

    def paid_twice(self) -> list[str]:
        """Requests that were answered more than once."""
        return [
            request for request, times in Counter(p.request for p in self.paid).items() if times > 1
        ]

    @property
    def url(self) -> str:
        return f"{self.address}/v1"

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._complete)
        return app

    async def _complete(self, http: web.Request) -> web.StreamResponse:
        started = time.monotonic()
        self.calls += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.headers_seen.append(http.headers.get("Authorization", ""))
        try:
            request = await http.json()
            self.bodies.append(request)
            await asyncio.sleep(self.faults.latency)
            return await self._answer(request, http, started)
        finally:
            self.at_once -= 1

    async def _answer(
        self, request: dict[str, Any], http: web.Request, started: float
    ) -> web.StreamResponse:
        if answer := self.instead(request):
            return answer
        faults, luck = self.faults, self.draw.random()
        if faults.status:
            echo = f"refused key {http.headers.get('Authorization', '')}"
            return web.json_response({"error": {"message": echo}}, status=faults.status)
        for share, fault in (
            (faults.too_many, self._too_many),
            (faults.server_error, self._server_error),
            (faults.hang, self._hang),
            (faults.truncated, self._truncated),
        ):
            if luck < share:
                return await fault()
            luck -= share
        body = json.dumps(self._completion(request), ensure_ascii=False)
        key = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
        self.paid.append(Paid(key, started, time.monotonic()))
        return web.Response(text=body, content_type="application/json")

    async def _too_many(self) -> web.Response:
        return web.json_response(
            {"error": {"message": "slow down"}}, status=429, headers={"Retry-After": "0.1"}
        )

    async def _server_error(self) -> web.Response:
        return web.json_response({"error": {"message": "broken"}}, status=500)

    async def _hang(self) -> web.Response:
        await asyncio.sleep(3600)
        return web.Response()

    async def _truncated(self) -> web.Response:
        return web.Response(text='{"choices": [{"mess', content_type="application/json")

    def _completion(self, request: dict[str, Any]) -> dict[str, Any]:
        text, finish_reason = self.reply(request)
        return {
            "id": "1",
            "object": "chat.completion",
            "created": 0,
            "model": request["model"],
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": text},
                    "finish_reason": finish_reason,
                }
            ],
            "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
        }

    def reply(self, request: dict[str, Any]) -> tuple[str, str]:
        """The text of the answer and its finish_reason."""
        digest = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).digest()
        share = digest[0] / 256
        number = int.from_bytes(digest[1:4], "big")
        text = f"雪夜归人第{number}号"
        if share < self.faults.empty:
            text = ""
        elif share < self.faults.empty + self.faults.overlong:
            text = "很长" * 40
        return text, "stop"
