"""A stand-in for a judge, with opinions and faults that no real LLM has on demand.

It finds the two texts in a request, answers with its opinion about them, and refuses some texts
with 400 as content filters do.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.endpoint_answers import FILTERED
from tests.fault_server import FaultServer

Opinion = Callable[[str, str], str]
"""A function from the texts 甲 and 乙 to the answer."""


def better(first: str, second: str) -> str:
    """The opinion that the text with more 雪 is better."""
    if first.count("雪") == second.count("雪"):
        return "两篇相当。\n平"
    winner = "甲" if first.count("雪") > second.count("雪") else "乙"
    return f"甲乙相比，{winner}的雪更多。\n{winner}"


@dataclass
class JudgeServer(FaultServer):
    """It runs inside a `with` block; `asked` has the pairs of texts in order of arrival."""

    opinion: Opinion = better
    finish_reason: str = "stop"
    forbidden: str = ""
    gone_after: int = 1_000_000
    asked: list[tuple[str, str]] = field(default_factory=list)

    async def _answer(
        self, request: dict[str, Any], http: web.Request, started: float
    ) -> web.StreamResponse:
        pair = self._pair(request)
        self.asked.append(pair)
        if len(self.asked) > self.gone_after:
            return web.json_response({"error": {"message": "gone"}}, status=503)
        if self.forbidden and self.forbidden in "".join(pair):
            return FILTERED["dashscope"]()
        return await super()._answer(request, http, started)

    def reply(self, request: dict[str, Any]) -> tuple[str, str]:
        return self.opinion(*self._pair(request)), self.finish_reason

    def _pair(self, request: dict[str, Any]) -> tuple[str, str]:
        said = request["messages"][1]["content"]
        first, second = (re.findall(f"<{name}>\n(.*?)\n</{name}>", said, re.S) for name in "甲乙")
        assert len(first) == len(second) == 1, said
        return first[0], second[0]
