"""The messages to an LLM that judges which of two texts is better, and the vote in its answer.

The judge knows the texts as 甲 and 乙 and does not know their authors. Its answer gives the reason
and, on the last line, the vote; an answer without a vote is sent back. As in wenmo.llm.dialogue,
the dialogue is a function of the answers alone, so it can be resumed from the store at any point.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from wenmo.config.endpoints import Endpoint
from wenmo.config.evaluate import JudgeParams
from wenmo.llm.fields import fitted
from wenmo.llm.reply import is_filtered
from wenmo.llm.store import Reply, Request
from wenmo.text.thinking import without_thinking

Vote = Literal["甲", "乙", "平"]

VOTES: tuple[Vote, ...] = get_args(Vote)

Answer = Callable[[Request], Reply | None]

_BRACKETS = str.maketrans("<>＜＞﹤﹥", "〈〉〈〉〈〉")

# The vote alone with its usual labels and marks: 甲, **乙**, 最终结论：平局。 but not 甲比乙好.
_VOTE = re.compile(
    r"[\W_]*(?:(?:我选|boxed|(?:我的|最终|最后)?"
    r"(?:答案?|结论|判断(?:结果)?|判定|裁决|评判|结果|选择|优?胜者|更好的(?:一篇)?)[是为]?)[\W_]*)?"
    r"([甲乙平])(?:文|篇)?(?:胜出?|[更较]?[好佳优]|局|手)?[\W_]*"
)


@dataclass(frozen=True)
class OrderedPair:
    """Two texts for one prompt, in the order in which the judge reads them."""

    prompt: str
    first: str
    second: str


def next_request(
    pair: OrderedPair, params: JudgeParams, endpoint: Endpoint, answer: Answer
) -> Request | None:
    """The next request about a pair; None after a vote or after `max_attempts` answers."""
    found = _follow(pair, params, endpoint, answer)
    return found if isinstance(found, Request) else None


def vote(pair: OrderedPair, params: JudgeParams, endpoint: Endpoint, answer: Answer) -> Vote | None:
    """The judge's vote about a pair; None if no answer so far has one."""
    found = _follow(pair, params, endpoint, answer)
    return None if isinstance(found, Request) else found


def _follow(
    pair: OrderedPair, params: JudgeParams, endpoint: Endpoint, answer: Answer
) -> Request | Vote | None:
    request = first_request(pair, params, endpoint)
    for _ in range(params.max_attempts):
        reply = answer(request)
        if reply is None:
            return request
        said = without_thinking(reply.text)
        cut_short = said is None or reply.finish_reason == "length" or is_filtered(reply)
        if said and not cut_short and (found := vote_in(said)):
            return found
        fault = "没有写完" if cut_short else f"最后一行没有只写{'、'.join(VOTES)}中的一个字"
        request = _asked_again(request, said or "", fault, params)
    return None


def first_request(pair: OrderedPair, params: JudgeParams, endpoint: Endpoint) -> Request:
    """The first request about a pair: the rubric, then the prompt and both texts in tags."""
    texts = (("要求", pair.prompt), ("甲", pair.first), ("乙", pair.second))
    question = [*(fenced(name, text) for name, text in texts), params.wording.question]
    request = {
        "model": endpoint.model,
        "messages": [
            {"role": "system", "content": params.wording.system.format(rubric=params.rubric)},
            {"role": "user", "content": "\n\n".join(question)},
        ],
        "temperature": params.temperature,
        "max_tokens": params.max_tokens,
    }
    return fitted(request, endpoint)


def fenced(name: str, text: str) -> str:
    """A text between tags. Its own `<` and `>` are replaced, so that it cannot close the tag."""
    return f"<{name}>\n{text.translate(_BRACKETS)}\n</{name}>"


def vote_in(text: str) -> Vote | None:
    """The vote on the last line with a letter or digit; None if the line says anything else."""
    lines = [line for line in text.splitlines() if re.search(r"[^\W_]", line)]
    found = _VOTE.fullmatch(lines[-1]) if lines else None
    return next((each for each in VOTES if found and each == found[1]), None)


def _asked_again(request: Request, said: str, fault: str, params: JudgeParams) -> Request:
    """The request, extended by the answer without a vote and a message that names the fault."""
    answered = [{"role": "assistant", "content": said}] if said.strip() else []
    complaint = {"role": "user", "content": params.wording.again.format(fault=fault)}
    return Request(request | {"messages": [*request["messages"], *answered, complaint]})
