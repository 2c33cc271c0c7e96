"""Asking an endpoint many things at once, within its limits, and keeping each answer at once."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from aiolimiter import AsyncLimiter

from wenmo.config.endpoints import Access
from wenmo.core.errors import UserError
from wenmo.core.keys import secret
from wenmo.llm.store import Reply, Request, Store, request_key


class UnreachableError(Exception):
    """An endpoint did not answer one request, however often it was tried."""


class RefusedError(UserError):
    """An endpoint refuses one request as it stands (400), as content filters do."""


@dataclass
class Usage:
    """What this run asked of the endpoint, and what that cost."""

    calls: int = 0
    retries: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    money: float = 0.0


class Client:
    """An endpoint, through the official client; answers go into the store."""

    def __init__(
        self,
        endpoint: Access,
        timeout_seconds: float,
        max_retries: int,
        store: Store,
        usage: Usage,
    ) -> None:
        from openai import AsyncOpenAI

        self.endpoint = endpoint
        self.max_retries = max_retries
        self.store = store
        self.usage = usage
        self.key = api_key(endpoint)
        self.openai: AsyncOpenAI = AsyncOpenAI(
            base_url=endpoint.base_url,
            api_key=self.key or "none",
            timeout=timeout_seconds,
            max_retries=max_retries,
        )
        self.requests_limit = AsyncLimiter(endpoint.requests_per_minute)
        self.tokens_limit = AsyncLimiter(endpoint.tokens_per_minute)
        self.in_flight: dict[str, asyncio.Future[Reply]] = {}

    async def ask(self, request: Request) -> Reply:
        """The answer to a request, which is kept; one that is under way is waited for.

        Raises UnreachableError after the last retry, UserError if the endpoint refuses all requests
        (wrong key, unknown model), and RefusedError if it may be this one alone.
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
        # At most one token a character of Chinese; more than the limit would never be let through.
        tokens = sum(len(message["content"]) for message in request["messages"])
        await self.tokens_limit.acquire(min(tokens, self.endpoint.tokens_per_minute))
        reply = await self._reply(request)
        self.store.put(key, request["model"], reply)
        self.usage.prompt_tokens += reply.prompt_tokens
        self.usage.completion_tokens += reply.completion_tokens
        self.usage.money += self.endpoint.price(reply.prompt_tokens, reply.completion_tokens)
        return reply

    async def _reply(self, request: Request) -> Reply:
        """The endpoint's answer.

        The official client tries again what may pass, with back-off and jitter, and minds
        Retry-After; a body that is cut short is asked for again here.
        """
        import openai

        fault = ""
        for _ in range(self.max_retries + 1):
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
                self.usage.retries += self.max_retries
                raise UnreachableError(self.without_key(str(error))) from None
            except openai.APIStatusError as error:
                refused = RefusedError if isinstance(error, openai.BadRequestError) else UserError
                message = self.without_key(" ".join(error.message.split()))[:200]
                raise refused(f"{self.endpoint.base_url}: {error.status_code}: {message}") from None
        raise UnreachableError(self.without_key(fault))

    def without_key(self, text: str) -> str:
        """A text that a server sent, in which it may have repeated the key."""
        return text.replace(self.key, "***") if self.key else text


def parsed_reply(body: dict[str, Any]) -> Reply:
    """A chat completion as it came. Raises LookupError or TypeError if it is none."""
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


def api_key(endpoint: Access) -> str:
    """The endpoint's key, from the environment or else from the git-ignored file .env.

    Empty for an endpoint without `api_key_env` (a server of one's own).
    Raises UserError naming the variable that is missing.
    """
    name = endpoint.api_key_env
    if not name:
        return ""
    key = secret(name)
    if not key:
        raise UserError(f"{name} is not set; put the key for {endpoint.base_url} there or in .env")
    return key
