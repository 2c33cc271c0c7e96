"""What a chat completion says, whatever form a server gives it."""

from typing import Any

from wenmo.llm.store import Reply

FILTERED = ("content_filter", "sensitive", "content_policy_violation", "safety")
"""Values of finish_reason by which content filters cut an answer off: OpenAI, Azure, DashScope and
Moonshot; Zhipu and Hunyuan; gateways to other models."""


def is_filtered(reply: Reply) -> bool:
    """Whether a content filter has cut the answer off."""
    return reply.finish_reason.lower() in FILTERED


def parsed_reply(body: dict[str, Any]) -> Reply:
    """The reply in a chat completion. Raises LookupError or TypeError if `body` is none.

    Content may come in parts. An empty answer beside thinking, which may stand in a field of its
    own, was cut off by its length, whatever the server calls it.
    """
    choice, usage = body["choices"][0], body.get("usage") or {}
    message = choice["message"]
    text, finish_reason = joined(message.get("content")), str(choice.get("finish_reason"))
    if not text.strip() and finish_reason == "stop" and has_thinking(message):
        finish_reason = "length"
    return Reply(
        text=text,
        finish_reason=finish_reason,
        prompt_tokens=int(usage.get("prompt_tokens") or 0),
        completion_tokens=int(usage.get("completion_tokens") or 0),
    )


def joined(content: Any) -> str:
    """The text of a message's content: null, a string, or parts of which only those of text count.

    Raises TypeError for anything else. Half of a surrogate pair, which no file can hold, is
    replaced.
    """
    if content is None:
        return ""
    if isinstance(content, list):
        return "".join(_text_of(part) for part in content)
    if not isinstance(content, str):
        raise TypeError("content is no text")
    return content.encode("utf-8", "replace").decode()


def _text_of(part: Any) -> str:
    return joined(part.get("text") if isinstance(part, dict) else part)


def has_thinking(message: dict[str, Any]) -> bool:
    """Whether a message has thinking apart from its text, in a field or in a part."""
    content = message.get("content")
    parts = content if isinstance(content, list) else []
    return bool(
        message.get("reasoning_content")
        or message.get("reasoning")
        or [part for part in parts if isinstance(part, dict) and part.get("type") == "thinking"]
    )
