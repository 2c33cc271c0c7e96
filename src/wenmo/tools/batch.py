"""OpenAI batch files of requests and results: half-price queues, or `vllm run-batch` on a cluster.

Format: https://platform.openai.com/docs/guides/batch, a JSON object per line. Only requests that
have no answer yet are written; a faulty answer leads to a new request in the next file.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from wenmo.config import params_file
from wenmo.config.endpoints import access, endpoints
from wenmo.config.summarize import SummarizeParams
from wenmo.core.errors import UserError
from wenmo.core.records import Row, read_json_lines, write_json_lines
from wenmo.core.row_files import rows_of_sources
from wenmo.core.system_words import system_words
from wenmo.llm.dialogue import Pending, follow
from wenmo.llm.fields import body
from wenmo.llm.reply import parsed_reply
from wenmo.llm.store import Request, Store, request_key, store_path
from wenmo.tools.task_names import listed_tasks, refuse_unknown

URL = "/v1/chat/completions"


def export_batch(task: str, path: Path) -> int:
    """Write a batch file of the requests about a task that have no answer yet; returns how many.

    Raises UserError if prepare has not run, the provider is offline or the disk refuses.
    """
    refuse_unknown([task])
    with Store(store_path()) as store:
        requests = pending_requests(prepared_rows(task), endpoint_params(task), store)
        lines = list(batch_lines(requests))
    try:
        write_json_lines(path, lines)
    except OSError as error:
        raise UserError(
            "{path}: {reason}; name another file", path=path, reason=system_words(error)
        ) from None
    return len(lines)


def import_batch(path: Path) -> tuple[int, int]:
    """Store the answers of a results file. Returns how many were stored and how many had failed.

    Raises UserError naming path and line of a line that is no batch result.
    """
    if not path.is_file():
        raise UserError("{path}: no such file", path=path)
    with Store(store_path()) as store:
        return import_results(path, store)


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


def prepared_rows(task: str) -> list[Row]:
    """The rows that prepare wrote. Raises UserError if it has not run."""
    return list(rows_of_sources(Path(f"data/prepared/{task}"), f"prepare@{task}"))


def pending_requests(
    rows: Iterable[Row], params: SummarizeParams, store: Store
) -> Iterator[Request]:
    """The next request about each row without a prompt; equal requests come once."""
    seen: set[str] = set()
    for row in rows:
        if row.prompt:
            continue
        outcome = follow(row.output, params, store.get)
        if isinstance(outcome, Pending) and (key := request_key(outcome.request)) not in seen:
            seen.add(key)
            yield outcome.request


def batch_lines(requests: Iterable[Request]) -> Iterator[dict[str, Any]]:
    """The lines of a batch file."""
    for request in requests:
        key = request_key(request)
        yield {"custom_id": key, "method": "POST", "url": URL, "body": body(request)}


def import_results(path: Path, store: Store) -> tuple[int, int]:
    """Store the answers of a results file. Returns how many were stored and how many had failed.

    Raises UserError naming path and line of a line that is no batch result.
    """
    kept = failed = 0
    for place, line in read_json_lines(path):
        response = line.get("response")
        is_result = isinstance(response, dict) or line.get("error")
        if not isinstance(line.get("custom_id"), str) or not is_result:
            raise UserError(
                "{place}: expected custom_id and response, as in a batch's results", place=place
            )
        if line.get("error") or not response or response.get("status_code", 200) != 200:
            failed += 1
            continue
        try:
            answer = response["body"]
            store.put(line["custom_id"], str(answer.get("model", "")), parsed_reply(answer))
        except (LookupError, TypeError, ValueError, AttributeError):
            raise UserError("{place}: response.body is no chat completion", place=place) from None
        kept += 1
    return kept, failed


def estimate(rows: Sequence[Row], params: SummarizeParams, store: Store) -> dict[str, int | float]:
    """The requests that summarize would still send, if no first answer has a fault.

    A character counts as a token, which is an upper bound for Chinese; an answer counts as
    `max_prompt_chars` tokens.
    """
    bare = sum(not row.prompt for row in rows)
    requests = list(pending_requests(rows, params, store))
    tokens = sum(len(m["content"]) for request in requests for m in request["messages"])
    answered = len(requests) * params.max_prompt_chars
    return {
        "rows": len(rows),
        "without prompt": bare,
        "in the store": bare - len(requests),
        "calls": len(requests),
        "input tokens": tokens,
        "output tokens": answered,
        "price": round(access(params.endpoint.name).price(tokens, answered), 4),
    }
