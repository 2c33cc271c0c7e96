"""An OpenAI-compatible endpoint as an engine, through summarize's client and store.

So a large model behind an API, or `wenmo serve` on another machine, appears in the same tables.
With `keep_answers` every answer is stored and never paid for again. A server of your own may have
other weights under the same name tomorrow: without `keep_answers` only the journal has its answers.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import asdict
from typing import Any, Self

from wenmo.config.endpoints import Endpoint, RequestFields, access
from wenmo.config.generate import GenerateParams, Sampling
from wenmo.core.errors import UserError
from wenmo.core.language import gettext
from wenmo.engines.engine import (
    Completion,
    Model,
    OnTokens,
    Prompt,
    ignore,
    without_cut_character,
)
from wenmo.llm.client import Client, Usage
from wenmo.llm.faults import FilteredError, RefusedError, UnreachableError
from wenmo.llm.fields import fitted
from wenmo.llm.store import IN_MEMORY, Reply, Request, Store, store_path
from wenmo.text.thinking import without_thinking

SEEDS = 2**31
"""Seeds are below this; some endpoints take no larger ones."""

DEFAULT_FIELDS = RequestFields()
"""What is sent to a server that params.yaml does not name."""


class OpenAIEngine:
    """The endpoint of `generate.openai`, which knows the models by the names in that section."""

    def __init__(self, params: GenerateParams) -> None:
        self.params = params.openai
        self.usage = Usage()

    @property
    def cost(self) -> dict[str, Any]:
        """Calls, retries, tokens and money."""
        return asdict(self.usage)

    def __enter__(self) -> Self:
        self.store = Store(store_path() if self.params.keep_answers else IN_MEMORY)
        return self

    def __exit__(self, *_: object) -> None:
        self.store.__exit__()

    def generate(
        self,
        model: Model,
        prompts: Sequence[Prompt],
        sampling: Sampling,
        on_tokens: OnTokens = ignore,
    ) -> Iterator[Completion]:
        """One completion per prompt; a stored answer is not asked for again.

        An endpoint tells the tokens of whole answers alone, so `on_tokens` is not called.
        """
        name = self.params.base if model.name == "base" else self.params.tuned
        missing: list[tuple[Prompt, Request]] = []
        for prompt in prompts:
            asked = request(name, prompt, sampling, self.params.endpoint)
            reply = self.store.get(asked)
            if reply is None:
                missing.append((prompt, asked))
            else:
                yield _completion(prompt.id, reply)
        if missing:
            answers = self._ask(missing)

            async def following() -> Completion | None:
                return await anext(answers, None)

            # This generator runs the event loop, so that each answer is yielded as it comes.
            with asyncio.Runner() as runner:
                while (answer := runner.run(following())) is not None:
                    yield answer

    async def _ask(self, requests: list[tuple[Prompt, Request]]) -> AsyncIterator[Completion]:
        """The completions of requests, `concurrency` at a time, in order of completion.

        After a failure no request is sent, and the answers that have come are yielded first. A
        prompt that a content filter refuses has an empty text; if all are refused, that is a
        failure.
        """
        endpoint = self.params.endpoint
        limits = access(endpoint.name)
        client = Client(endpoint, limits, self.store, self.usage)
        gate = asyncio.Semaphore(limits.concurrency)

        refused: list[tuple[Prompt, FilteredError]] = []

        async def settle(prompt: Prompt, asked: Request) -> Completion | None:
            async with gate:
                try:
                    return _completion(prompt.id, await client.ask(asked))
                except FilteredError as error:
                    refused.append((prompt, error))
                    return None
                except UnreachableError as error:
                    raise UserError(
                        "{url}: {error}; is that the endpoint to ask (generate.openai.endpoint is"
                        " {name}), and does it run? The answers so far are kept: the same command"
                        " goes on from there",
                        url=endpoint.base_url,
                        error=error,
                        name=endpoint.name,
                    ) from None
                except RefusedError as error:
                    raise UserError(
                        "{url}: {error} (asked {prompt!r})",
                        url=endpoint.base_url,
                        error=error,
                        prompt=_start(prompt),
                    ) from None
                except UserError as error:
                    raise UserError(
                        "{error} (asked {prompt!r})", error=error, prompt=_start(prompt)
                    ) from None

        tasks = {asyncio.create_task(settle(*each)) for each in requests}
        waiting, failures = tasks, list[BaseException]()
        try:
            while waiting and not failures:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    if failure := task.exception():
                        failures.append(failure)
                    elif answered := task.result():
                        yield answered
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await client.close()
        if failures:
            raise failures[0]
        if refused:
            told = _refusals(endpoint, refused, len(requests))
            if len(refused) == len(requests):
                raise UserError(told)
            # A progress bar has left its line open.
            told = gettext("{refusals}; the texts are empty", refusals=told)
            print(f"\n{told}", file=sys.stderr)
        for prompt, _ in refused:
            yield Completion(prompt.id, "", "content_filter", 0)


def request(
    model: str, prompt: Prompt, sampling: Sampling, fields: RequestFields = DEFAULT_FIELDS
) -> Request:
    """The body of a chat completion; parameters that OpenAI does not have are sent only if set."""
    extra: dict[str, Any] = {}
    if sampling.top_k:
        extra["top_k"] = sampling.top_k
    if sampling.repetition_penalty != 1:
        extra["repetition_penalty"] = sampling.repetition_penalty
    sent = {name: value for name, value in extra.items() if name not in fields.omit}
    asked = {
        "model": model,
        "messages": prompt.messages,
        "max_tokens": sampling.max_new_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "seed": prompt.seed % SEEDS,
        **({"stop": sampling.stop} if sampling.stop else {}),
        **({"extra_body": sent} if sent else {}),
    }
    return fitted(asked, fields)


def _refusals(endpoint: Endpoint, refused: list[tuple[Prompt, FilteredError]], asked: int) -> str:
    prompt, error = refused[0]
    return gettext(
        "{url}: {refused} of {asked} prompts were refused, the first: {error} (asked {prompt!r})",
        url=endpoint.base_url,
        refused=len(refused),
        asked=asked,
        error=error,
        prompt=_start(prompt),
    )


def _start(prompt: Prompt) -> str:
    question: str = prompt.messages[-1]["content"]
    return question[:20]


def _completion(prompt_id: str, reply: Reply) -> Completion:
    """The answer without thinking; thinking that does not end leaves none, as a cut at `length`."""
    text = without_thinking(reply.text)
    reason = "length" if text is None else reply.finish_reason
    if reason != "stop":
        text = without_cut_character(text or "")
    return Completion(prompt_id, (text or "").strip(), reason, reply.completion_tokens)


def load(params: GenerateParams, models: Sequence[Model]) -> OpenAIEngine:
    """The engine; it reads endpoints.yaml and the key before its first request."""
    return OpenAIEngine(params)
