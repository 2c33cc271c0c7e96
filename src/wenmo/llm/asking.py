"""Many dialogues with one endpoint at a time, each continued until it has ended."""

import asyncio
from collections.abc import Callable, Sequence

from tqdm import tqdm

from wenmo.config.endpoints import Endpoint, access
from wenmo.core.errors import UserError
from wenmo.core.language import gettext
from wenmo.llm.client import Client, Usage
from wenmo.llm.faults import IN_PARAMS, FilteredError, RefusedError, UnreachableError
from wenmo.llm.store import Request, Store

IN_A_ROW = 10
"""After this many requests in a row without an answer, the endpoint answers none.

A content filter's refusals do not count: a whole book may offend it.
"""

NextRequest = Callable[[], Request | None]
"""The dialogue's next request, given the answers in the store; None if the dialogue has ended."""


def ask_all(
    dialogues: Sequence[NextRequest],
    endpoint: Endpoint,
    store: Store,
    usage: Usage,
    unit: str,
    chosen_by: str,
) -> dict[int, str]:
    """Continue all dialogues, `concurrency` at a time, until each has ended; answers are stored.

    A request without an answer breaks off its dialogue; the result maps its index to the reason.
    Raises UserError if all are broken off, naming the parameter `chosen_by` that chose the
    endpoint, and before that if the endpoint is down or refuses requests as such.
    """
    # If the store has every answer, neither endpoints.yaml nor key nor network is needed.
    if all(next_request() is None for next_request in dialogues):
        return {}
    broken_off = asyncio.run(_ask_all(dialogues, endpoint, store, usage, unit))
    if len(broken_off) < len(dialogues):
        return {number: str(error) for number, error in broken_off.items()}
    error, unit = broken_off[0], gettext(unit)
    if isinstance(error, UnreachableError):
        raise UserError(
            "{url}: no {unit} came: {error}; is that the endpoint to ask ({key} is {name}), and"
            " does it run?",
            url=endpoint.base_url,
            unit=unit,
            error=error,
            key=chosen_by,
            name=endpoint.name,
        )
    raise UserError(
        "{url}: {error}; every {unit} was refused ({key} is {name})",
        url=endpoint.base_url,
        error=error,
        unit=unit,
        key=chosen_by,
        name=endpoint.name,
    )


async def _ask_all(
    dialogues: Sequence[NextRequest],
    endpoint: Endpoint,
    store: Store,
    usage: Usage,
    unit: str,
) -> dict[int, UnreachableError | RefusedError]:
    limits = access(endpoint.name)
    client = Client(endpoint, limits, store, usage)
    gate = asyncio.Semaphore(limits.concurrency)
    broken_off: dict[int, UnreachableError | RefusedError] = {}
    lost_in_a_row = 0

    with tqdm(total=len(dialogues), desc=f"{unit}s", unit=unit) as progress:

        async def finish(number: int, next_request: NextRequest) -> None:
            nonlocal lost_in_a_row
            async with gate:
                while request := next_request():
                    try:
                        await client.ask(request)
                        lost_in_a_row = 0
                    except (UnreachableError, RefusedError) as error:
                        filtered = isinstance(error, FilteredError)
                        lost_in_a_row = 0 if filtered else lost_in_a_row + 1
                        if lost_in_a_row >= IN_A_ROW:
                            raise _answers_none(endpoint, error) from None
                        broken_off[number] = error
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


def _answers_none(endpoint: Endpoint, error: UnreachableError | RefusedError) -> UserError:
    if isinstance(error, RefusedError):
        return UserError(
            "{url}: {error}; it refused {count} requests in a row; {way_out}",
            url=endpoint.base_url,
            error=error,
            count=IN_A_ROW,
            way_out=gettext(IN_PARAMS),
        )
    return UserError(
        "{url}: no answer to {count} requests in a row: {error}",
        url=endpoint.base_url,
        count=IN_A_ROW,
        error=error,
    )
