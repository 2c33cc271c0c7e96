"""Writing the prompt that a passage answers: what summarize does to rows that have none."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from tqdm import tqdm

from wenmo.errors import UserError
from wenmo.llm.client import Client, UnreachableError, Usage
from wenmo.llm.dialogue import Failed, Outcome, Pending, Written, follow
from wenmo.llm.offline import leading_clause
from wenmo.llm.params import OFFLINE, SummarizeParams
from wenmo.llm.store import Store, store_path
from wenmo.records import Row

UNREACHABLE_IN_A_ROW = 10
"""So many rows without an answer, one after another: the endpoint is gone, not a request."""


@dataclass
class Prompted:
    """Rows with prompts in the rows' order, and what became of each; `failures` have none."""

    rows: list[Row] = field(default_factory=list)
    passed_through: int = 0
    written: int = 0
    asked_again: int = 0
    failures: list[tuple[Row, str]] = field(default_factory=list)


def write_prompts(rows: Sequence[Row], params: SummarizeParams, usage: Usage) -> Prompted:
    """Give every row that has no prompt one; rows that have one pass through.

    What was asked of an endpoint is entered into `usage`, whatever happens. Raises UserError if
    the endpoint refuses requests altogether or cannot be reached; answers that have come are kept.
    """
    bare = [row for row in rows if not row.prompt]
    if params.provider == OFFLINE or not bare:
        outcomes: list[Outcome] = [
            Written(leading_clause(row.output, params.max_prompt_chars), 1) for row in bare
        ]
    else:
        with Store(store_path()) as store:
            outcomes = [follow(row.output, params, store.get) for row in bare]
            # Where every answer is in the store, neither key nor network is needed.
            if any(isinstance(outcome, Pending) for outcome in outcomes):
                outcomes = asyncio.run(_ask_all(bare, params, store, usage))
    return _collect(rows, dict(zip((row.id for row in bare), outcomes, strict=True)))


async def _ask_all(
    rows: Sequence[Row], params: SummarizeParams, store: Store, usage: Usage
) -> list[Outcome]:
    """The outcome for each row; `concurrency` rows are asked about at a time."""
    client = Client(params.endpoint, params.timeout_seconds, params.max_retries, store, usage)
    gate = asyncio.Semaphore(params.concurrency)
    lost_in_a_row = 0

    with tqdm(total=len(rows), desc="prompts", unit="row") as progress:

        async def settle(row: Row) -> Outcome:
            nonlocal lost_in_a_row
            async with gate:
                while isinstance(outcome := follow(row.output, params, store.get), Pending):
                    try:
                        await client.ask(outcome.request)
                        lost_in_a_row = 0
                    except UnreachableError as error:
                        lost_in_a_row += 1
                        if lost_in_a_row >= UNREACHABLE_IN_A_ROW:
                            raise UserError(
                                f"{params.endpoint.base_url}: no answer to {lost_in_a_row} requests"
                                f" in a row: {error}"
                            ) from None
                        outcome = Failed(f"no answer: {error}")
                        break
                progress.update()
                progress.set_postfix_str(
                    f"{usage.prompt_tokens + usage.completion_tokens:,} tokens, {usage.money:.4f}"
                )
                return outcome

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(settle(row)) for row in rows]
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        finally:
            await client.close()
    return [task.result() for task in tasks]


def _collect(rows: Sequence[Row], outcomes: dict[str, Outcome]) -> Prompted:
    prompted = Prompted()
    for row in rows:
        match outcomes.get(row.id):
            case Written(prompt, attempts):
                prompted.rows.append(replace(row, input=prompt))
                prompted.written += 1
                prompted.asked_again += attempts > 1
            case Failed(fault):
                prompted.failures.append((row, fault))
            case _:
                prompted.rows.append(row)
                prompted.passed_through += 1
    return prompted


def refuse_failures(prompted: Prompted, params: SummarizeParams) -> None:
    """Raise UserError naming the first row if more failed than `summarize.max_failures`."""
    if len(prompted.failures) <= params.max_failures:
        return
    row, fault = prompted.failures[0]
    raise UserError(
        f"{len(prompted.failures)} of {len(prompted.failures) + prompted.written} rows got no"
        f" prompt that will do, the first being {row.source} row {row.position} ({fault}); the"
        " others are kept. Change summarize.wording or raise max_attempts or max_failures"
    )
