"""OpenAI batch files of requests and results: half-price queues, or `vllm run-batch` on a cluster.

Format: https://platform.openai.com/docs/guides/batch, a JSON object per line. Only requests that
have no answer yet are written; a faulty answer leads to a new request in the next file.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from typing import Any, Self

from wenmo.config import params_file
from wenmo.config.endpoints import access, endpoints
from wenmo.config.summarize import SummarizeParams
from wenmo.core.errors import UserError
from wenmo.core.records import Row, json_line, read_json_lines
from wenmo.core.replacing import replaced_file
from wenmo.core.row_files import rows_of_sources
from wenmo.core.system_words import system_words
from wenmo.llm.dialogue import Pending, follow
from wenmo.llm.fields import body
from wenmo.llm.reply import parsed_reply
from wenmo.llm.store import Reply, Request, Store, store_path
from wenmo.tools.task_names import listed_tasks, refuse_unknown

URL = "/v1/chat/completions"


REQUESTS, BYTES = 50_000, 200 * 10**6
"""The most that a hosted queue takes in one file: https://platform.openai.com/docs/guides/batch."""

LONGEST = 200
"""Characters of a fault that are shown."""


@dataclass
class Imported:
    """How many answers were stored, how many requests had failed, and why the first of them."""

    stored: int = 0
    failed: int = 0
    first_fault: str = ""


def export_batch(task: str, path: Path) -> dict[Path, int]:
    """Write the requests about a task that have no answer yet; returns how many are in each file.

    A file takes as many as a queue does. Those after the first have a number in their names. Raises
    UserError if prepare has not run, the provider is offline, the disk refuses, or numbered files
    of an earlier export are there, which would be sent once more.
    """
    refuse_unknown([task])
    if old := sorted(path.parent.glob(f"{escape(path.stem)}.[0-9]*{escape(path.suffix)}")):
        raise UserError(
            "{path}: from an earlier export; remove it, or name another file", path=old[0]
        )
    with Store(store_path()) as store:
        requests = pending_requests(prepared_rows(task), endpoint_params(task), store)
        try:
            return write_parts(path, map(json_line, batch_lines(requests)))
        except OSError as error:
            raise UserError(
                "{path}: {reason}; name another file", path=path, reason=system_words(error)
            ) from None


def write_parts(path: Path, lines: Iterator[str]) -> dict[Path, int]:
    """Write lines into as few files as their limits allow; how many are in each."""
    written: dict[Path, int] = {}
    waiting = next(lines, None)
    while waiting is not None or not written:
        part = path.with_suffix(f".{len(written) + 1}{path.suffix}") if written else path
        count = size = 0
        with replaced_file(part) as file:
            while waiting is not None and count < REQUESTS:
                size += len(waiting.encode())
                if count and size > BYTES:
                    break
                file.write(waiting)
                count += 1
                waiting = next(lines, None)
        written[part] = count
    return written


def import_batch(paths: Sequence[Path]) -> Imported:
    """Store the answers of results files, in any order; an answer that is there already stays.

    Raises UserError naming path and line of a line that is no batch result; what stands before it
    is stored.
    """
    for path in paths:
        if not path.is_file():
            raise UserError("{path}: no such file", path=path)
    imported = Imported()
    with Store(store_path()) as store:
        for path in paths:
            store.put_many(answers_of(read_json_lines(path), imported))
    return imported


def estimate_table() -> str:
    """Markdown: a row per task of params.yaml with what `estimate` counts.

    Raises UserError if prepare has not run or the provider is offline.
    """
    import pandas as pd

    with Store(store_path()) as store:
        counts = {
            task: estimate(prepared_rows(task), endpoint_params(task), store)
            for task in listed_tasks()
        }
    return str(pd.DataFrame(counts).T.to_markdown(intfmt=",", floatfmt=",.10g"))


def endpoint_params(task: str) -> SummarizeParams:
    """Section `summarize` of a task. Raises UserError if its provider is no endpoint."""
    summarize = SummarizeParams.load("summarize", task)
    if summarize.provider is None:
        raise UserError(
            "summarize.provider is offline and costs nothing; set it to one of {names}",
            names=", ".join(endpoints(params_file.read())),
        )
    return summarize


def prepared_rows(task: str) -> Iterator[Row]:
    """The rows that prepare wrote. Raises UserError if it has not run."""
    return rows_of_sources(Path(f"data/prepared/{task}"), f"prepare@{task}")


def pending_requests(
    rows: Iterable[Row], params: SummarizeParams, store: Store
) -> Iterator[Request]:
    """The next request about each row without a prompt; equal requests come once."""
    with KeysSeen() as seen:
        for row in rows:
            if row.prompt:
                continue
            outcome = follow(row.output, params, store.get)
            if isinstance(outcome, Pending) and seen.add(outcome.request.key):
                yield outcome.request


class KeysSeen:
    """Keys that have come, in a file without a name, so that any number of them fits."""

    def __init__(self) -> None:
        # https://sqlite.org/inmemorydb.html#temp_db
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute("CREATE TABLE seen (key INTEGER PRIMARY KEY)")
        self._database.execute("BEGIN")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def add(self, key: str) -> bool:
        """Whether a key comes for the first time, by its first 64 bits.

        The request of one that is mistaken for another is written by the next export.
        """
        number = int(key[:16], 16) - 2**63
        added = self._database.execute("INSERT OR IGNORE INTO seen VALUES (?)", (number,))
        return added.rowcount == 1


def batch_lines(requests: Iterable[Request]) -> Iterator[dict[str, Any]]:
    """The lines of a batch file."""
    for request in requests:
        yield {"custom_id": request.key, "method": "POST", "url": URL, "body": body(request)}


def answers_of(
    results: Iterable[tuple[str, dict[str, Any]]], imported: Imported
) -> Iterator[tuple[str, str, Reply]]:
    """The key, model and answer of each result that has one; those and the failed are counted.

    Raises UserError naming the place of a line that is no batch result.
    """
    for place, line in results:
        response = line.get("response")
        is_result = isinstance(response, dict) or line.get("error")
        if not isinstance(line.get("custom_id"), str) or not is_result:
            raise UserError(
                "{place}: expected custom_id and response, as in a batch's results", place=place
            )
        if line.get("error") or not response or response.get("status_code", 200) != 200:
            imported.failed += 1
            fault = line.get("error") or response
            imported.first_fault = imported.first_fault or f"{place}: {json.dumps(fault)[:LONGEST]}"
            continue
        try:
            answer = response["body"]
            found = line["custom_id"], str(answer.get("model", "")), parsed_reply(answer)
        except (LookupError, TypeError, ValueError, AttributeError):
            raise UserError("{place}: response.body is no chat completion", place=place) from None
        yield found
        imported.stored += 1


def estimate(rows: Iterable[Row], params: SummarizeParams, store: Store) -> dict[str, int | float]:
    """The requests that summarize would still send, if no first answer has a fault.

    A character counts as a token, which is an upper bound for Chinese; an answer counts as
    `max_prompt_chars` tokens.
    """
    count, bare, calls, tokens = 0, 0, 0, 0

    def counted() -> Iterator[Row]:
        nonlocal count, bare
        for row in rows:
            count += 1
            bare += not row.prompt
            yield row

    for request in pending_requests(counted(), params, store):
        calls += 1
        tokens += sum(len(message["content"]) for message in request["messages"])
    answered = calls * params.max_prompt_chars
    return {
        "rows": count,
        "without prompt": bare,
        "in the store": bare - calls,
        "calls": calls,
        "input tokens": tokens,
        "output tokens": answered,
        "price": round(access(params.endpoint.name).price(tokens, answered), 4),
    }
