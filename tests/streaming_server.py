"""A stand-in for an endpoint that streams its text and counts the clients that close early."""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.loopback import LoopbackServer


@dataclass
class StreamingServer(LoopbackServer):
    """It runs inside a `with` block at `url`; if `endless`, it repeats `pieces` without end.

    `instead` makes an answer in place of the stream.
    """

    pieces: Sequence[str] = ("一篙春", "水绿，\n", "两岸杏花齐。")
    endless: bool = False
    status: int = 200
    breaks_off: bool = False
    field_of_pieces: str = "content"
    instead: Callable[[], web.StreamResponse] | None = None
    finish_reason: str = "stop"
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    left: int = 0

    @property
    def url(self) -> str:
        return f"{self.address}/v1"

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._stream)
        return app

    async def _stream(self, http: web.Request) -> web.StreamResponse:
        self.asked.append(await http.json())
        self.keys.append(http.headers.get("Authorization", ""))
        if self.instead:
            return self.instead()
        if self.status != 200:
            message = f"not with {self.keys[-1]}"
            return web.json_response({"error": {"message": message}}, status=self.status)
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(http)
        try:
            while True:
                for piece in self.pieces:
                    await self._send(answer, {self.field_of_pieces: piece}, None)
                if self.breaks_off:
                    http.transport.close()
                    return answer
                if not self.endless:
                    break
                await asyncio.sleep(0.02)
            await self._send(answer, {}, self.finish_reason)
            await answer.write(b"data: [DONE]\n\n")
        except ConnectionResetError:
            self.left += 1
        return answer

    async def _send(
        self, answer: web.StreamResponse, delta: dict[str, str], reason: str | None
    ) -> None:
        chunk = {
            "id": "1",
            "object": "chat.completion.chunk",
            "created": 0,
            "model": "m",
            "choices": [{"index": 0, "delta": delta, "finish_reason": reason}],
        }
        await answer.write(f"data: {json.dumps(chunk)}\n\n".encode())
