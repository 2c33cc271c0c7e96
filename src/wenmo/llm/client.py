"""Concurrent requests to an endpoint, within its limits; each answer is stored when it comes."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from aiolimiter import AsyncLimiter

from wenmo.config.endpoints import Access, Endpoint
from wenmo.core.errors import UserError
from wenmo.core.keys import secret
from wenmo.llm.store import Reply, Request, Store, request_key


class UnreachableError(Exception):
    """An endpoint did not answer a request, and all retries failed."""


class RefusedError(UserError):
    """An endpoint refuses one request (400), as content filters do."""


@dataclass
class Usage:
    """The calls, retries, tokens and price of this run."""

    calls: int = 0
    retries: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    money: float = 0.0


class Client:
    """An endpoint behind the official client; answers go into the store."""

    def __init__(self, endpoint: Endpoint, access: Access, store: Store, usage: Usage) -> None:
        from openai import AsyncOpenAI

        self.endpoint = endpoint
        self.access = access
        self.store = store
        self.usage = usage
        self.key = api_key(endpoint.base_url, access)
        self.openai: AsyncOpenAI = AsyncOpenAI(
            base_url=endpoint.base_url,
            api_key=self.key or "none",
            timeout=access.timeout_seconds,
            max_retries=access.max_retries,
        )
        self.requests_limit = AsyncLimiter(access.requests_per_minute)
        self.tokens_limit = AsyncLimiter(access.tokens_per_minute)
        self.in_flight: dict[str, asyncio.Future[Reply]] = {}

    async def ask(self, request: Request) -> Reply:
        """The answer to a request, which is stored. The same request is never sent twice at a time.

        Raises UnreachableError after the last retry, RefusedError if the endpoint refuses this
        request, and UserError if it refuses all requests (wrong key, unknown model).
        """
        key = request_key(request)
        if key not in self.in_flight:
            self.in_flight[key] = asyncio.ensure_future(self._ask(key, request))
        try:
            return await self.in_flight[key]
        finally:
            self.in_flight.pop(key, None)

    async def close(self) -> None:
        """Close the connections."""
        await self.openai.close()

    async def _ask(self, key: str, request: Request) -> Reply:
        await self.requests_limit.acquire()
        # A Chinese character is at most one token. The limiter never admits more than its limit.
        tokens = sum(len(message["content"]) for message in request["messages"])
        await self.tokens_limit.acquire(min(tokens, self.access.tokens_per_minute))
        reply = await self._reply(request)
        self.store.put(key, request["model"], reply)
        self.usage.prompt_tokens += reply.prompt_tokens
        self.usage.completion_tokens += reply.completion_tokens
        self.usage.money += self.access.price(reply.prompt_tokens, reply.completion_tokens)
        return reply

    async def _reply(self, request: Request) -> Reply:
        """The endpoint's answer.

        The official client retries transient errors with back-off and jitter and obeys
        Retry-After. A response body that is cut short is retried here.
        """
        import openai

        fault = ""
        for _ in range(self.access.max_retries + 1):
            self.usage.calls += 1
            try:
                raw = await self.openai.chat.completions.with_raw_response.create(**request)
                self.usage.retries += raw.retries_taken
                return parsed_reply(json.loads(raw.text))
            except (ValueError, LookupError, TypeError) as error:
                fault = f"a malformed answer ({error})"
                self.usage.retries += 1
            except (
                openai.APIConnectionError,
                openai.RateLimitError,
                openai.InternalServerError,
            ) as error:
                self.usage.retries += self.access.max_retries
                raise UnreachableError(self.without_key(str(error))) from None
            except openai.APIStatusError as error:
                refused = RefusedError if isinstance(error, openai.BadRequestError) else UserError
                message = self.without_key(" ".join(error.message.split()))[:200]
                raise refused(f"{self.endpoint.base_url}: {error.status_code}: {message}") from None
        raise UnreachableError(self.without_key(fault))

    def without_key(self, text: str) -> str:
        """A text from the server, with the key removed, which a server may repeat."""
        return text.replace(self.key, "***") if self.key else text


def parsed_reply(body: dict[str, Any]) -> Reply:
    """The reply in a chat completion. Raises LookupError or TypeError if `body` is none."""
    choice, usage = body["choices"][0], body.get("usage") or {}
    text = choice["message"]["content"]
    if text is not None and not isinstance(text, str):
        raise TypeError("content is no text")
    return Reply(
        text=text or "",
        finish_reason=str(choice.get("finish_reason")),
        prompt_tokens=int(usage.get("prompt_tokens", 0)),
        completion_tokens=int(usage.get("completion_tokens", 0)),
    )


def api_key(base_url: str, access: Access) -> str:
    """The key for an endpoint, from the environment or from the git-ignored file .env.

    It is empty if `api_key_env` is empty. Raises UserError naming the variable that is not set.
    """
    name = access.api_key_env
    if not name:
        return ""
    key = secret(name)
    if not key:
        raise UserError(f"{name} is not set; put the key for {base_url} there or in .env")
    return key
