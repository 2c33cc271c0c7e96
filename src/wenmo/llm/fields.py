"""Which fields a request has: those that its endpoint takes."""

from typing import Any

from wenmo.config.endpoints import RequestFields
from wenmo.llm.store import Request


def fitted(request: dict[str, Any], fields: RequestFields) -> Request:
    """The request with the fields that an endpoint takes, and with its `extra_body`.

    By default it has the same fields, so that answers of earlier versions are found in the store.
    """
    kept = {name: value for name, value in request.items() if name not in fields.omit}
    if fields.max_tokens_field != "max_tokens":
        kept[fields.max_tokens_field] = kept.pop("max_tokens")
    extra = {**kept.get("extra_body", {}), **fields.extra_body}
    return Request(kept | ({"extra_body": extra} if extra else {}))


def body(request: Request) -> dict[str, Any]:
    """The request as it is sent: what the official client takes as `extra_body` stands beside."""
    plain = {name: value for name, value in request.items() if name != "extra_body"}
    return {**plain, **request.get("extra_body", {})}
