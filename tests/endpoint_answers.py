"""Answers as endpoints give them: thoughtful ones, refusals of one text or of all, passing faults.

Each is what a provider's documentation or its users show; a real server gives none on demand.
"""

from collections.abc import Callable
from typing import Any

from aiohttp import web


def completion(message: dict[str, Any], finish_reason: str = "stop", **update: Any) -> web.Response:
    """A chat completion with this message, to which `update` adds and in which it replaces keys."""
    choice = {"index": 0, "message": message, "finish_reason": finish_reason}
    return web.json_response({"id": "1", "model": "m", "choices": [choice]} | update)


def says(text: str, finish_reason: str = "stop") -> web.Response:
    """A chat completion with this text."""
    return completion({"role": "assistant", "content": text}, finish_reason)


def refuses(status: int = 400, **error: Any) -> web.Response:
    """An error in OpenAI's form."""
    return web.json_response({"error": error}, status=status)


FILTERED: dict[str, Callable[[], web.Response]] = {
    "dashscope": lambda: refuses(
        code="data_inspection_failed",
        type="data_inspection_failed",
        message="Input data may contain inappropriate content.",
    ),
    "dashscope's inner code": lambda: refuses(
        message="<400> InternalError.Algo.DataInspectionFailed: Output data may contain …"
    ),
    "azure": lambda: refuses(
        code="content_filter",
        message="The response was filtered due to the prompt triggering Azure OpenAI's content"
        " management policy. Please modify your prompt and retry.",
    ),
    "openai": lambda: refuses(
        code="invalid_prompt",
        type="invalid_request_error",
        message="Invalid prompt: your prompt was flagged as potentially violating our policy.",
    ),
    "zhipu": lambda: web.json_response(
        {
            "contentFilter": [{"level": 1, "role": "user"}],
            "error": {
                "code": "1301",
                "message": "系统检测到输入或生成内容可能包含不安全或敏感内容，请您避免输入。",
            },
        },
        status=400,
    ),
    "deepseek": lambda: refuses(
        code="invalid_request_error", type="invalid_request_error", message="Content Exists Risk"
    ),
    "deepseek, early": lambda: web.json_response({"detail": "Content Exists Risk"}, status=400),
    "moonshot": lambda: refuses(
        type="content_filter",
        message="The request was rejected because it was considered high risk",
    ),
    "volcengine": lambda: refuses(
        code="InputTextSensitiveContentDetected", message="The request failed because …"
    ),
    "openrouter": lambda: refuses(
        403, code=403, message="Your chosen model requires moderation and your input was flagged"
    ),
    "451": lambda: refuses(451, message="censorship_blocked"),
    "minimax, sent as 200": lambda: web.json_response(
        {"choices": None, "base_resp": {"status_code": 1026, "status_msg": "input new_sensitive"}}
    ),
    "a gateway, sent as 200": lambda: refuses(
        200, code="data_inspection_failed", message="Input data may contain inappropriate content."
    ),
}
"""How content filters refuse one text, by provider, as its documentation or its users show it."""

OUR_REQUEST_IS_WRONG: dict[str, Callable[[], web.Response]] = {
    "a model that is not there": lambda: refuses(
        404, code="model_not_found", message="The model `m` does not exist"
    ),
    "a model that is not there, by 400": lambda: refuses(
        message="Model does not exist. Please check it carefully.", code=20012
    ),
    "a field": lambda: refuses(
        code="unsupported_parameter",
        param="max_tokens",
        message="Unsupported parameter: 'max_tokens' is not supported with this model. Use"
        " 'max_completion_tokens' instead.",
    ),
    "a value": lambda: refuses(
        code="unsupported_value",
        message="Unsupported value: 'temperature' does not support 0.3 with this model. Only the"
        " default (1) value is supported.",
    ),
    "a field that is unknown": lambda: web.json_response(
        {"detail": [{"loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}]}, status=422
    ),
    "an account in arrears": lambda: refuses(
        code="Arrearage",
        message="Access denied, please make sure your account is in good standing.",
    ),
    "a key, sent as 200": lambda: refuses(200, code="invalid_api_key", message="Incorrect API key"),
    "a key": lambda: refuses(403, message="Your account was flagged; contact us."),
}
"""Refusals that every request would get."""

PASSING: dict[str, tuple[Callable[[], web.Response], str]] = {
    "an error in 200": (
        lambda: refuses(200, code=429, message="Rate limit reached, retry in 20s"),
        "429: Rate limit reached, retry in 20s",
    ),
    "an error in words": (
        lambda: web.json_response({"error": "overloaded"}),
        "overloaded",
    ),
    "an error with its code as text": (
        lambda: refuses(200, code="rate_limit_exceeded", message="slow\ndown"),
        "429: rate_limit_exceeded: slow down",
    ),
    "an error beside the choices": (
        lambda: web.json_response(
            {"choices": [{"error": {"code": 502, "message": "Upstream is gone"}, "message": {}}]}
        ),
        "502: Upstream is gone",
    ),
    "an error without an envelope": (
        lambda: web.json_response({"object": "error", "code": 503, "message": "busy"}),
        "503: busy",
    ),
    "no choice": (lambda: web.json_response({"id": "7", "choices": []}), '"choices": []'),
    "null": (lambda: web.json_response({"choices": None}), '"choices": null'),
    "a page": (
        lambda: web.Response(
            text="<html>\n<head><title>504 Gateway Time-out</title><style>a{}</style></head>\n"
            "<body><h1>504 Gateway Time-out</h1><hr>nginx &amp; sons</body></html>",
            content_type="text/html",
        ),
        "504 Gateway Time-out nginx & sons",
    ),
    "a page with its own status": (
        lambda: web.Response(
            text="<!DOCTYPE html><title>Bad gateway</title><p>Cloudflare", status=502
        ),
        "502: Bad gateway Cloudflare",
    ),
    "nothing": (lambda: web.Response(status=503), "503: Service Unavailable"),
    "nested without end": (lambda: web.Response(text="[" * 100_000), "[[[["),
    "half of it": (lambda: web.Response(text='{"choices": [{"mess'), '{"choices": [{"mess'),
}
"""Faults that pass, and what is told of them."""
