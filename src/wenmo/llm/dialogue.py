"""The messages to an LLM that writes a passage's prompt, and the checks of its answer.

An answer with a fault is sent back with the fault named. The dialogue about a text is a function of
the answers alone, so it can be resumed from the store at any point.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from wenmo.config.summarize import SummarizeParams
from wenmo.llm.fields import fitted
from wenmo.llm.reply import is_filtered
from wenmo.llm.store import Reply, Request
from wenmo.text.thinking import without_thinking

COPIED = 16
"""A sequence of this many characters of the passage is a quotation."""

UNFINISHED = "没有写完"
"""The fault of an answer that max_tokens cut off."""

_CLOSING = dict(zip("“‘「『﹁﹃〝＂\"'", "”’」』﹂﹄〞＂\"'", strict=True))
"""The closing mark of each opening quotation mark. 《》 are none: they belong to a title."""

_LEFTOVER = re.compile(
    r"(?:示例|例子|主题|提示|概括|摘要|输出|答案|回答|段落|问题?)\s*[：:]|^[-*#>]|```|<\w+>"
)
# Only the beginning of an answer tells: a prompt may speak of someone who is sorry.
_REFUSAL = re.compile(
    r"(?:很?抱歉|对不起|很遗憾)(?:[，,。！!]|我)|Sorry|I can|作为.{0,12}(?:模型|助手|AI|人工智能)"
    r"|我(?:无法|不能)(?:完成|提供|满足|回答|生成|协助|帮)"
)


@dataclass(frozen=True)
class Pending:
    """The next request, which has no answer yet."""

    request: Request


@dataclass(frozen=True)
class Accepted:
    """The prompt, and the number of answers that it took."""

    prompt: str
    attempts: int


@dataclass(frozen=True)
class Failed:
    """Every answer had a fault; this is the last one's."""

    fault: str


Outcome = Pending | Accepted | Failed


def follow(
    text: str, params: SummarizeParams, answer: Callable[[Request], Reply | None]
) -> Outcome:
    """The state of the dialogue about a passage, given the answers so far."""
    request = first_request(text, params)
    fault = ""
    for attempt in range(1, params.max_attempts + 1):
        reply = answer(request)
        if reply is None:
            return Pending(request)
        fault = fault_of(reply, text, params.max_prompt_chars) or ""
        if not fault:
            return Accepted(prompt_in(reply), attempt)
        request = asked_again(request, reply, fault, params)
    return Failed(fault)


def first_request(text: str, params: SummarizeParams) -> Request:
    """The first request about a passage: system message, few-shot examples, passage."""
    messages = [
        {"role": "system", "content": params.wording.system.format(n=params.max_prompt_chars)}
    ]
    for example in params.wording.examples:
        messages.append({"role": "user", "content": example.text})
        messages.append({"role": "assistant", "content": example.prompt})
    messages.append({"role": "user", "content": text})
    request = {
        "model": params.endpoint.model,
        "messages": messages,
        "temperature": params.temperature,
        "max_tokens": params.max_tokens,
    }
    return fitted(request, params.endpoint)


def asked_again(request: Request, reply: Reply, fault: str, params: SummarizeParams) -> Request:
    """The request, extended by the faulty answer and a message that names the fault."""
    said = without_thinking(reply.text) or ""
    answered = [{"role": "assistant", "content": said}] if said.strip() else []
    complaint = params.wording.again.format(fault=fault, n=params.max_prompt_chars)
    messages = [*request["messages"], *answered, {"role": "user", "content": complaint}]
    return Request(request | {"messages": messages})


def prompt_in(reply: Reply) -> str:
    """The prompt in an answer: without thinking, white space and a pair of quotation marks."""
    said = (without_thinking(reply.text) or "").strip()
    return said[1:-1].strip() if _is_quoted(said) else said


def fault_of(reply: Reply, text: str, max_chars: int) -> str | None:
    """The fault of an answer, in the words that go back to the model; None if it has none."""
    said, prompt = without_thinking(reply.text), prompt_in(reply)
    if said is None:
        return f"思考没有结束，{UNFINISHED}"
    if is_filtered(reply):
        return "没有通过内容审查"
    if not prompt:
        return UNFINISHED if reply.finish_reason == "length" else "回答是空的"
    if "\n" in prompt:
        return "写了不止一行"
    if len(prompt) > max_chars:
        return f"有{len(prompt)}字，超过{max_chars}字"
    if reply.finish_reason == "length":
        return UNFINISHED
    if _REFUSAL.match(prompt):
        return "拒绝了要求"
    if _LEFTOVER.search(prompt):
        return "带有多余的标签"
    if _is_quoted(said.strip()) and prompt in text:
        return "照抄了原文"
    if any(prompt[at : at + COPIED] in text for at in range(len(prompt) - COPIED + 1)):
        return "照抄了原文"
    if prompt[0] in _CLOSING:
        return "以引号开头"
    return None


def _is_quoted(text: str) -> bool:
    """Whether one pair of quotation marks encloses the whole text."""
    opening, closing, inner = text[:1], _CLOSING.get(text[:1]), text[1:-1]
    if len(text) < 2 or text[-1] != closing:
        return False
    depth = 0
    for character in inner:
        depth += (character == opening) - (character == closing)
        if depth < 0 or character == opening == closing:
            return False
    return depth == 0
