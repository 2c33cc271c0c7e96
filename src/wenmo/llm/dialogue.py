"""What is said to an LLM so that it writes a passage's prompt, and when its answer will do.

An answer that will not do is given back with its fault. The dialogue about a text follows from
the answers alone, so it can be taken up at any point from the store.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from wenmo.config.summarize import SummarizeParams
from wenmo.llm.store import Reply, Request

COPIED = 16
"""So many characters in sequence from the passage are a quotation."""

_LEFTOVER = re.compile(
    r"(?:示例|例子|主题|提示|概括|摘要|输出|答案|回答|段落|问题?)\s*[：:]|^[-*#>]|```|<\w+>"
)
# Told by how an answer opens: a prompt may well speak of someone who is sorry or cannot sleep.
_REFUSAL = re.compile(
    r"(?:很?抱歉|对不起|很遗憾)(?:[，,。！!]|我)|Sorry|I can|作为.{0,12}(?:模型|助手|AI|人工智能)"
    r"|我(?:无法|不能)(?:完成|提供|满足|回答|生成|协助|帮)"
)


@dataclass(frozen=True)
class Pending:
    """The request that has to be answered next."""

    request: Request


@dataclass(frozen=True)
class Written:
    """The prompt, after so many answers."""

    prompt: str
    attempts: int


@dataclass(frozen=True)
class Failed:
    """No answer would do; the last one's fault."""

    fault: str


Outcome = Pending | Written | Failed


def follow(
    text: str, params: SummarizeParams, answer: Callable[[Request], Reply | None]
) -> Outcome:
    """How the dialogue about a passage stands, given the answers that there are."""
    request = first_request(text, params)
    fault = ""
    for attempt in range(1, params.max_attempts + 1):
        reply = answer(request)
        if reply is None:
            return Pending(request)
        fault = fault_of(reply, text, params.max_prompt_chars) or ""
        if not fault:
            return Written(reply.text.strip(), attempt)
        request = asked_again(request, reply, fault, params)
    return Failed(fault)


def next_request(
    text: str, params: SummarizeParams, answer: Callable[[Request], Reply | None]
) -> Request | None:
    """What has to be asked next about a passage; None if its dialogue has ended."""
    outcome = follow(text, params, answer)
    return outcome.request if isinstance(outcome, Pending) else None


def first_request(text: str, params: SummarizeParams) -> Request:
    """The request about a passage: the wording, the examples, the passage."""
    messages = [
        {"role": "system", "content": params.wording.system.format(n=params.max_prompt_chars)}
    ]
    for example in params.wording.examples:
        messages.append({"role": "user", "content": example.text})
        messages.append({"role": "assistant", "content": example.prompt})
    messages.append({"role": "user", "content": text})
    return {
        "model": params.endpoint.model,
        "messages": messages,
        "temperature": params.temperature,
        "max_tokens": params.max_tokens,
    }


def asked_again(request: Request, reply: Reply, fault: str, params: SummarizeParams) -> Request:
    """The request with the answer that would not do and the fault named."""
    answered = [{"role": "assistant", "content": reply.text}] if reply.text.strip() else []
    complaint = params.wording.again.format(fault=fault, n=params.max_prompt_chars)
    messages = [*request["messages"], *answered, {"role": "user", "content": complaint}]
    return request | {"messages": messages}


def fault_of(reply: Reply, text: str, max_chars: int) -> str | None:
    """Why an answer is no prompt, in the words that go back to the model; None if it will do."""
    prompt = reply.text.strip()
    if not prompt:
        return "回答是空的"
    if "\n" in prompt:
        return "写了不止一行"
    if len(prompt) > max_chars:
        return f"有{len(prompt)}字，超过{max_chars}字"
    if reply.finish_reason == "length":
        return "没有写完"
    if _REFUSAL.match(prompt):
        return "拒绝了要求"
    if _LEFTOVER.search(prompt):
        return "带有多余的标签"
    if prompt[0] in "“\"「『'" or any(
        prompt[at : at + COPIED] in text for at in range(len(prompt) - COPIED + 1)
    ):
        return "照抄了原文"
    return None
