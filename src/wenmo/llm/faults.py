"""Answers that are no chat completions: whether they pass, concern one text, or all requests.

Servers differ in how they say it. Some send an error as 200, and content filters have a status, a
code or only words. What was seen is in the tests.
"""

import html
import json
import re
from typing import Any

from wenmo.core.errors import UserError
from wenmo.core.language import N_, gettext
from wenmo.llm.reply import parsed_reply

LONGEST = 200
"""Longest quotation from a server (characters)."""

IN_PARAMS = N_("its entry of endpoints in params.yaml has the model and the fields that are sent")

BAD_GATEWAY = 502
LEGAL_REASONS = 451

# A refusal of what was written. Account and model may be called sensitive or flagged, too.
_ABOUT_CONTENT = re.compile(
    r"data_?inspection|content_?(?:filter|policy)|content management policy|moderation|censor"
    r"|inappropriate content|content exists risk|considered high risk|content violates"
    r"|sensitive_?content|new_sensitive|invalid_prompt"
    r"|(?:prompt|input|content|text)\w* (?:was|were|is|has been) (?:flagged|blocked|rejected)"
    r"|(?:内容|输入|文本|提示词?).{0,12}(?:不安全|敏感|违规|违法|风险)",
    re.IGNORECASE,
)
# A refusal that every other request would get as well.
_ABOUT_ALL = re.compile(
    r"unsupported_?(?:parameter|value)|unsupported (?:parameter|value)"
    r"|(?:unknown|unrecognized|unexpected|invalid)[_ ](?:parameter|field|argument|keyword)"
    r"|extra inputs|extra fields|arrear|api[_ ]?key"
    r"|model_not_found|invalid_?model|model.{0,60}(?:not exist|not found|no access|not supported)",
    re.IGNORECASE,
)
_STATUS_OF_CODE = {
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "invalid_api_key": 401,
    "authentication_error": 401,
    "permission_denied": 403,
    "model_not_found": 404,
    "invalid_request_error": 400,
}
_UNSEEN = re.compile(r"<(script|style|head)\b.*?</\1>", re.IGNORECASE | re.DOTALL)
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)


class UnreachableError(Exception):
    """An endpoint did not answer a request, and all retries failed."""


class RefusedError(Exception):
    """An endpoint refuses one request, for a reason that need not hold for others."""


class FilteredError(RefusedError):
    """An endpoint's content filter refuses the text of one request."""


def refusal(base_url: str, status: int, words: str) -> Exception:
    """The error for an answer with a status of 400 or more, after the last retry.

    `words` are those of the server. The result is UnreachableError for what passes, FilteredError
    or RefusedError for one request, and UserError, which names the address, for all requests.
    """
    said = f"{status}: {words}"
    if status in (408, 409, 429) or status >= 500:
        return UnreachableError(said)
    if status == LEGAL_REASONS:
        return FilteredError(said)
    if status in (400, 403, 422) and _ABOUT_CONTENT.search(words):
        return FilteredError(said)
    if status in (400, 413, 422) and not _ABOUT_ALL.search(words):
        return RefusedError(said)
    if status in (400, 404, 422):
        return UserError(
            "{url}: {error}; {way_out}", url=base_url, error=said, way_out=gettext(IN_PARAMS)
        )
    return UserError("{place}: {error}", place=base_url, error=said)


def hidden_status(content: str) -> int | None:
    """The status that an answer sent as 200 should have; None for a chat completion.

    An error's own code is its status. Without one, and for what is no completion and no error, the
    fault is taken to pass.
    """
    try:
        body = json.loads(content)
        error = _error_in(body)
        if not error:
            parsed_reply(body)
            return None
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return BAD_GATEWAY
    codes = [str(error[key]) for key in ("code", "status", "status_code", "type") if key in error]
    for code in codes:
        if _is_status(code):
            return int(code)
        if code.lower() in _STATUS_OF_CODE:
            return _STATUS_OF_CODE[code.lower()]
    return 400 if _ABOUT_CONTENT.search(words_of(content)) else BAD_GATEWAY


def words_of(content: str, key: str = "") -> str:
    """What a server says in an answer that is no completion, in one line of at most LONGEST.

    An API key, which a server may repeat, is replaced by ***.
    """
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        said = _without_tags(content)
    else:
        said = _message(_error_in(body)) or content
    return one_line(said, key)


def one_line(text: str, key: str) -> str:
    """A text in one line of at most LONGEST, with an API key replaced by ***."""
    line = " ".join(text.split())
    if key:
        # The key goes first, so that no part of it remains where the line is cut.
        line = line.replace(key, "***")
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}…"


def _error_in(body: Any) -> dict[str, Any]:
    """The error in a body, in any of the forms that servers give it; empty if there is none."""
    if not isinstance(body, dict):
        return {}
    choices = body.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    if isinstance(choice, dict):
        # OpenRouter tells here that a provider failed while it wrote.
        body = choice
    for name in ("error", "base_resp", "detail", "errors"):
        found = body.get(name)
        if isinstance(found, list) and found:
            found = found[0]
        if isinstance(found, dict) and found:
            return found
        if isinstance(found, str) and found:
            return {"message": found}
    return {} if choice else {key: body[key] for key in body if key in (*_MESSAGES, *_CODES)}


_MESSAGES = ("message", "msg", "error_msg", "status_msg", "detail")
_CODES = ("code", "error_code", "status", "status_code", "type")


def _message(error: dict[str, Any]) -> str:
    """The message of an error with the codes that it does not repeat."""
    said = next((str(error[key]) for key in _MESSAGES if error.get(key)), "")
    named = dict.fromkeys(str(error[key]) for key in ("code", "type") if error.get(key))
    codes = [each for each in named if each not in said and not _is_status(each)]
    return ": ".join([*codes, *([said] if said else [])])


def _is_status(code: str) -> bool:
    return code.isdecimal() and 400 <= int(code) < 600


def _without_tags(content: str) -> str:
    """The text of an HTML page, its title first; anything else as it is."""
    if not re.match(r"\s*<(?:!doctype|html|head|body|\?xml)", content, re.IGNORECASE):
        return content
    found = _TITLE.search(content)
    title = found[1].strip() if found else ""
    text = re.sub(r"<[^>]*>", " ", _UNSEEN.sub(" ", content)).strip()
    return html.unescape(text if text.startswith(title) else f"{title} {text}")
