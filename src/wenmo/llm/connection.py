"""The key of an endpoint, and what its failures say; for the official client, async or not."""

from typing import TYPE_CHECKING, Any

from wenmo.config.endpoints import Access
from wenmo.core.errors import UserError
from wenmo.core.keys import secret
from wenmo.core.language import gettext
from wenmo.llm.faults import BAD_GATEWAY, hidden_status, refusal, words_of

if TYPE_CHECKING:
    from openai import APIStatusError

HIDDEN = "wenmo_hidden_status"
"""Marks a response whose status was 200 when it came."""


def api_key(base_url: str, access: Access) -> str:
    """The key for an endpoint, from the environment or from the git-ignored file .env.

    It is empty if `api_key_env` is empty. Raises UserError naming the variable that is not set, or
    that holds what cannot stand in a header.
    """
    name = access.api_key_env
    if not name:
        return ""
    key = secret(name)
    if not key:
        raise UserError(
            "{name} is not set; put the key for {base_url} there or in .env",
            name=name,
            base_url=base_url,
        )
    if not all("!" <= character <= "~" for character in key):
        raise UserError(
            "{name}: a key has printable ASCII characters alone, without spaces; put the key for"
            " {base_url} there or in .env, as its provider shows it",
            name=name,
            base_url=base_url,
        )
    return key


async def show_hidden_status(response: Any) -> None:
    """Give a failure that came as 200 its own status, so that the official client treats it so.

    An event hook of the official client's asynchronous HTTP client, which asks for no streams.
    """
    if response.status_code == 200:
        await response.aread()
        _show(response)


def show_hidden_status_of_stream(response: Any) -> None:
    """The same for the synchronous HTTP client, of which only streams are asked."""
    if response.status_code == 200 and not _is_stream(response.headers.get("content-type", "")):
        response.read()
        # Some proxies send a stream as plain text.
        if not response.text.lstrip().startswith(("data:", "event:", ":")):
            _show(response, otherwise=BAD_GATEWAY)


def failure(base_url: str, error: "APIStatusError", key: str) -> Exception:
    """The error for a response with the status of a failure, in the server's words."""
    response = error.response
    words = words_of(response.text, key) or response.reason_phrase
    if response.extensions.get(HIDDEN):
        words = gettext("{words} (sent as 200)", words=words)
    return refusal(base_url, response.status_code, words)


def _is_stream(content_type: str) -> bool:
    return content_type.startswith("text/event-stream")


def _show(response: Any, otherwise: int | None = None) -> None:
    if status := hidden_status(response.text) or otherwise:
        response.status_code = status
        response.extensions[HIDDEN] = True
