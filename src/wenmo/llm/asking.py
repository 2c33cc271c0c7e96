"""Many dialogues with one endpoint at a time, each continued until it has ended."""

import asyncio
from collections.abc import Callable, Sequence

from tqdm import tqdm

from wenmo.config.endpoints import Endpoint, access
from wenmo.core.errors import UserError
from wenmo.llm.client import Client, UnreachableError, Usage
from wenmo.llm.store import Request, Store

UNREACHABLE_IN_A_ROW = 10
"""After this many requests in a row without an answer, the endpoint is taken to be down."""

NextRequest = Callable[[], Request | None]
"""The dialogue's next request, given the answers in the store; None if the dialogue has ended."""


def ask_all(
    dialogues: Sequence[NextRequest],
    endpoint: Endpoint,
    store: Store,
    usage: Usage,
    unit: str,
    costs_one: tuple[type[Exception], ...] = (UnreachableError,),
) -> dict[int, str]:
    """Continue all dialogues, `concurrency` at a time, until each has ended; answers are stored.

    An error of `costs_one` breaks off one dialogue; the result maps its index to the error's text.
    Any other error, and an endpoint that is down, ends all dialogues and raises UserError.
    """
    # If the store has every answer, neither endpoints.yaml nor key nor network is needed.
    if all(next_request() is None for next_request in dialogues):
        return {}
    return asyncio.run(_ask_all(dialogues, endpoint, store, usage, unit, costs_one))


async def _ask_all(
    dialogues: Sequence[NextRequest],
    endpoint: Endpoint,
    store: Store,
    usage: Usage,
    unit: str,
    costs_one: tuple[type[Exception], ...],
) -> dict[int, str]:
    limits = access(endpoint.name)
    client = Client(endpoint, limits, store, usage)
    gate = asyncio.Semaphore(limits.concurrency)
    broken_off: dict[int, str] = {}
    lost_in_a_row = 0

    with tqdm(total=len(dialogues), desc=f"{unit}s", unit=unit) as progress:

        async def finish(number: int, next_request: NextRequest) -> None:
            nonlocal lost_in_a_row
            async with gate:
                while request := next_request():
                    try:
                        await client.ask(request)
                        lost_in_a_row = 0
                    except costs_one as error:
                        # An endpoint that refuses a request is not down.
                        silent = isinstance(error, UnreachableError)
                        lost_in_a_row = lost_in_a_row + 1 if silent else 0
                        if lost_in_a_row >= UNREACHABLE_IN_A_ROW:
                            raise UserError(
                                f"{endpoint.base_url}: no answer to {lost_in_a_row} requests in a"
                                f" row: {error}"
                            ) from None
                        broken_off[number] = str(error)
                        break
                progress.update()
                progress.set_postfix_str(
                    f"{usage.prompt_tokens + usage.completion_tokens:,} tokens, {usage.money:.4f}"
                )

        try:
            async with asyncio.TaskGroup() as group:
                for each in enumerate(dialogues):
                    group.create_task(finish(*each))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        finally:
            await client.close()
    return broken_off
