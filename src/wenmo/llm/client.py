"""Concurrent requests to an endpoint, within its limits; each answer is stored when it comes."""

import asyncio
import json
import sys
from dataclasses import dataclass

from aiolimiter import AsyncLimiter

from wenmo.config.endpoints import Access, Endpoint
from wenmo.core.language import gettext
from wenmo.llm.connection import api_key, failure, show_hidden_status
from wenmo.llm.faults import RefusedError, UnreachableError, one_line
from wenmo.llm.reply import parsed_reply
from wenmo.llm.store import Reply, Request, Store


@dataclass
class Usage:
    """The calls, retries, refused requests, tokens and price of this run."""

    calls: int = 0
    retries: int = 0
    refused: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    money: float = 0.0


class Client:
    """An endpoint behind the official client; answers go into the store.

    If it has replicas, requests are sent to all of its servers in turn.
    """

    def __init__(self, endpoint: Endpoint, access: Access, store: Store, usage: Usage) -> None:
        from openai import AsyncOpenAI, DefaultAsyncHttpxClient

        self.endpoint = endpoint
        self.access = access
        self.store = store
        self.usage = usage
        self.key = api_key(endpoint.base_url, access)
        self.servers = {
            url: AsyncOpenAI(
                base_url=url,
                api_key=self.key or "none",
                timeout=access.timeout_seconds,
                max_retries=access.max_retries,
                http_client=DefaultAsyncHttpxClient(event_hooks={"response": [show_hidden_status]}),
            )
            for url in (endpoint.base_url, *access.replicas)
        }
        self.reachable = [*self.servers]
        self.requests_limit = AsyncLimiter(access.requests_per_minute)
        self.tokens_limit = AsyncLimiter(access.tokens_per_minute)
        self.in_flight: dict[str, asyncio.Future[Reply]] = {}

    async def ask(self, request: Request) -> Reply:
        """The answer to a request, which is stored. The same request is never sent twice at a time.

        Raises UnreachableError after the last retry, RefusedError or FilteredError if the endpoint
        refuses this request, and UserError if it refuses all requests (wrong key, unknown model).
        """
        if request.key not in self.in_flight:
            self.in_flight[request.key] = asyncio.ensure_future(self._ask(request))
        try:
            return await self.in_flight[request.key]
        finally:
            self.in_flight.pop(request.key, None)

    async def close(self) -> None:
        """Close the connections."""
        for server in self.servers.values():
            await server.close()

    async def _ask(self, request: Request) -> Reply:
        await self.requests_limit.acquire()
        # A Chinese character is at most one token. The limiter never admits more than its limit.
        tokens = sum(len(message["content"]) for message in request["messages"])
        await self.tokens_limit.acquire(min(tokens, self.access.tokens_per_minute))
        reply = await self._reply(request)
        self.store.put(request.key, request["model"], reply)
        self.usage.prompt_tokens += reply.prompt_tokens
        self.usage.completion_tokens += reply.completion_tokens
        self.usage.money += self.access.price(reply.prompt_tokens, reply.completion_tokens)
        return reply

    async def _reply(self, request: Request) -> Reply:
        """The answer of the first server that gives one; each request begins with another."""
        self.reachable.append(self.reachable.pop(0))
        tried = list[str]()
        while True:
            url = next(url for url in self.reachable if url not in tried)
            try:
                return await self._reply_of(url, request)
            except UnreachableError:
                tried.append(url)
                if not {*self.reachable} - {*tried}:
                    raise

    async def _reply_of(self, url: str, request: Request) -> Reply:
        """A server's answer.

        The official client retries what passes, with back-off and jitter, and obeys Retry-After.
        """
        import openai

        self.usage.calls += 1
        try:
            completions = self.servers[url].chat.completions
            raw = await completions.with_raw_response.create(**request)
        except openai.APIStatusError as error:
            found = failure(url, error, self.key)
            if isinstance(found, UnreachableError):
                self.usage.retries += self.access.max_retries
            self.usage.refused += isinstance(found, RefusedError)
            raise found from None
        except openai.APIConnectionError as error:
            self.usage.retries += self.access.max_retries
            told = one_line(str(error), self.key)
            self._set_aside(url, told)
            raise UnreachableError(told) from None
        self.usage.retries += raw.retries_taken
        return parsed_reply(json.loads(raw.text))

    def _set_aside(self, url: str, fault: str) -> None:
        """Ask a server no more that cannot be reached, if there is another one."""
        if url in self.reachable and len(self.reachable) > 1:
            self.reachable.remove(url)
            # A progress bar has left its line open.
            told = gettext(
                "{url}: {fault}; the other servers take its share", url=url, fault=fault.rstrip(".")
            )
            print(f"\n{told}", file=sys.stderr)
