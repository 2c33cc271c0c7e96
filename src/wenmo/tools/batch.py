"""Requests as an OpenAI batch file and back: half-price queues, or `vllm run-batch` on a cluster.

Format: https://platform.openai.com/docs/guides/batch, a JSON object a line. Only requests that
have no answer yet are written; faulty answers lead to new requests in the next file.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from wenmo.config.summarize import SummarizeParams
from wenmo.core.errors import UserError
from wenmo.core.records import Row, read_json_lines
from wenmo.llm.client import parsed_reply
from wenmo.llm.dialogue import Pending, follow
from wenmo.llm.store import Request, Store, request_key

URL = "/v1/chat/completions"


def pending_requests(
    rows: Iterable[Row], params: SummarizeParams, store: Store
) -> Iterator[Request]:
    """The next request about each row without a prompt, each different one once."""
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
        yield {"custom_id": request_key(request), "method": "POST", "url": URL, "body": request}


def import_results(path: Path, store: Store) -> tuple[int, int]:
    """Keep the answers of a results file. Returns how many were kept, and how many had failed.

    Raises UserError as path:line where a line is no batch result.
    """
    kept = failed = 0
    for place, line in read_json_lines(path):
        response = line.get("response")
        is_result = isinstance(response, dict) or line.get("error")
        if not isinstance(line.get("custom_id"), str) or not is_result:
            raise UserError(f"{place}: expected custom_id and response, as in a batch's results")
        if line.get("error") or not response or response.get("status_code", 200) != 200:
            failed += 1
            continue
        try:
            body = response["body"]
            store.put(line["custom_id"], str(body.get("model", "")), parsed_reply(body))
        except (LookupError, TypeError, ValueError, AttributeError):
            raise UserError(f"{place}: response.body is no chat completion") from None
        kept += 1
    return kept, failed


def estimate(rows: Sequence[Row], params: SummarizeParams, store: Store) -> dict[str, int | float]:
    """What summarize would still ask, if every first answer will do.

    Tokens are counted as one a character, which is an upper bound for Chinese; the answer's are
    `max_prompt_chars`.
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
        "price": round(params.endpoint.price(tokens, answered), 4),
    }
