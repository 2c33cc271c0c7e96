"""Writing prompts for rows that have none: an LLM, or a stand-in, sums up the row's passage."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from wenmo.config.summarize import SummarizeParams
from wenmo.core.errors import UserError
from wenmo.core.language import N_, gettext
from wenmo.core.records import Row
from wenmo.llm.asking import ask_all
from wenmo.llm.client import Usage
from wenmo.llm.dialogue import UNFINISHED, Accepted, Failed, Outcome, Pending, follow
from wenmo.llm.offline import leading_clause
from wenmo.llm.store import Request, Store, store_path

BATCH = 5000
"""Rows that are in memory at a time. An endpoint is asked about all of them at once."""


@dataclass
class Prompted:
    """The rows that have prompts, in order, the counts, and the rows that failed with the fault."""

    rows: list[Row] = field(default_factory=list)
    passed_through: int = 0
    written: int = 0
    asked_again: int = 0
    failures: list[tuple[Row, str]] = field(default_factory=list)

    def count(self, of_batch: "Prompted") -> None:
        """Add the counts and failures of a batch, but not its rows."""
        self.passed_through += of_batch.passed_through
        self.written += of_batch.written
        self.asked_again += of_batch.asked_again
        self.failures += of_batch.failures


def in_batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """The rows in lists of BATCH, the last of which is longer and not shorter.

    A short one might be refused as a whole, which stops the stage, by a filter of contents.
    """
    batch: list[Row] = []
    for row in rows:
        batch.append(row)
        if len(batch) == 2 * BATCH:
            yield batch[:BATCH]
            del batch[:BATCH]
    if batch:
        yield batch


def write_prompts(rows: Sequence[Row], params: SummarizeParams, usage: Usage) -> Prompted:
    """Give a prompt to every row that has none; rows that have one pass through.

    Adds calls, tokens and price to `usage`, also if it raises. Raises UserError if the endpoint
    refuses all requests or cannot be reached; the answers so far are stored.
    """
    bare = [row for row in rows if not row.prompt]
    if params.provider is None or not bare:
        outcomes: list[Outcome] = [
            Accepted(leading_clause(row.output, params.max_prompt_chars), 1) for row in bare
        ]
    else:
        with Store(store_path()) as store:
            outcomes = _ask_about(bare, params, store, usage)
    return _collect(rows, dict(zip((row.id for row in bare), outcomes, strict=True)))


def _ask_about(
    rows: Sequence[Row], params: SummarizeParams, store: Store, usage: Usage
) -> list[Outcome]:
    """The outcome for each row; only requests that the store has no answer to are sent."""
    outcomes: dict[int, Outcome] = {}

    def next_request(number: int) -> Request | None:
        outcome = outcomes[number] = follow(rows[number].output, params, store.get)
        return outcome.request if isinstance(outcome, Pending) else None

    dialogues = [partial(next_request, number) for number in range(len(rows))]
    broken_off = ask_all(
        dialogues, params.endpoint, store, usage, N_("prompt"), "summarize.provider"
    )
    for number, error in broken_off.items():
        outcomes[number] = Failed(gettext("no answer: {error}", error=error))
    return [outcomes[number] for number in range(len(rows))]


def _collect(rows: Sequence[Row], outcomes: dict[str, Outcome]) -> Prompted:
    prompted = Prompted()
    for row in rows:
        match outcomes.get(row.id):
            case Accepted(prompt, attempts):
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
    way_out = gettext("Change summarize.wording or raise max_attempts or max_failures")
    if UNFINISHED in fault:
        way_out = gettext(
            "Raise summarize.max_tokens, or turn thinking off in the endpoint's extra_body"
        )
    raise UserError(
        "{failed} of {count} rows got no prompt that will do, the first being {source} row"
        " {position} ({fault}); the others are kept. {way_out}",
        failed=len(prompted.failures),
        count=len(prompted.failures) + prompted.written,
        source=row.source,
        position=row.position,
        fault=fault,
        way_out=way_out,
    )
