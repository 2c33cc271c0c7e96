"""The contract of a chat model: the text before an answer, and the token that ends it.

Published chat templates differ in more than their words. Some write an empty thought before an
answer in a conversation and none when they ask for one, some know no system role, some leave the
last answer open, and some say today's date. Here a template is asked once what it writes around the
messages of a conversation. A template that asks as it teaches is kept; one that does so when its
switches are set gets them set; any other is written anew from those texts. Every reader of the
model's folder then does the same with no setting of its own: training, losses, engines, servers and
whatever reads the merged weights later.
https://huggingface.co/docs/transformers/chat_templating
"""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import product
from typing import TYPE_CHECKING, Any

from wenmo.core.errors import UserError
from wenmo.core.language import N_, gettext
from wenmo.model.chat import Message, answer_messages, first_special, prompt_messages, render
from wenmo.model.computation import computation

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

THINKING_SWITCHES = ("enable_thinking", "thinking")
"""Variables by which published templates let thinking be turned off."""

DATE = date(2024, 7, 26)
"""The date that a template is told, which is the one that Llama 3.1's template says by itself."""

SYSTEMS = ("你是一位诗人。", "写作者。\n只写正文。")
PROMPTS = ("写一首诗。", "第一行\n\n第二行，有 {{ 花括号 }} 和 {% if %}", "A fox: “1 < 2”")
ANSWERS = ("雪落千山静，风来一叶轻。", "从前有一只小狐狸。\n它住在山里。\n\n第二天……", "“走。”")

LONGEST_TEXT = 100_000
"""Of a conversation as short as these, with all that a template puts around it (characters)."""

_SYSTEM, _FIRST, _ANSWER, _SECOND = "系统甲", "提问乙", "回答丙", "提问丁"


@dataclass(frozen=True)
class Pieces:
    """What a template writes around the messages of a conversation.

    The texts stand before the system prompt, between it and the first prompt, before an answer,
    after the last answer, and between an answer and the next prompt. Without a system role,
    `system_to_prompt` separates the system prompt from the prompt in whose turn it stands.
    """

    opening: str
    system_to_prompt: str
    answer_opening: str
    answer_closing: str
    next_prompt: str
    has_system_role: bool

    def prompt(self, system: str, prompt: str) -> str:
        """The text up to where the model answers."""
        separator = self.system_to_prompt if system or self.has_system_role else ""
        return self.opening + system + separator + prompt + self.answer_opening


@dataclass(frozen=True)
class Contract:
    """What base_model finds out of a chat model and writes into its wenmo.json.

    `change` says how `template` differs from the published one and why; it is empty if it does not.
    `end` is the token that ends an answer, `ends` are all ids at which an engine stops, and
    `template_kwargs` are the variables that turn thinking off or that the user has set.
    """

    template: str
    change: str
    end: str
    ends: list[int]
    system_role: bool
    template_kwargs: dict[str, Any]


def find_contract(
    tokenizer: "PreTrainedTokenizerBase", ends: Collection[int], template_kwargs: Mapping[str, Any]
) -> Contract:
    """Ask the tokenizer's chat template what it writes.

    `ends` are the ids that the model's configuration names as ends, `template_kwargs` further
    variables for the template (base_model.template_kwargs). Raises UserError with the reason if the
    template words no conversation, or alters the messages.
    """
    published = _published(tokenizer)
    switches = [name for name in THINKING_SWITCHES if _mentions(published, name)]
    kwargs = dict.fromkeys(switches, False) | dict(template_kwargs)
    pieces = find_pieces(tokenizer, kwargs)
    end, pieces = _with_end(tokenizer, pieces, ends)
    template, change = _agreeing(tokenizer, published, pieces, kwargs)
    return Contract(
        template=template,
        change=change,
        end=str(tokenizer.convert_ids_to_tokens(end)),
        ends=[end, *sorted({*ends} - {end})],
        system_role=pieces.has_system_role,
        template_kwargs=kwargs,
    )


def find_pieces(tokenizer: "PreTrainedTokenizerBase", kwargs: Mapping[str, Any]) -> Pieces:
    """Split what the template writes at the messages. Raises UserError as `find_contract` does."""
    has_system_role = _knows_system(tokenizer, kwargs)
    ours = [{"role": "system", "content": _SYSTEM}] if has_system_role else []
    turn = [{"role": "user", "content": _FIRST}, *answer_messages(_ANSWER)]
    whole = _render(tokenizer, [*ours, *turn], kwargs)
    marks = [each["content"] for each in [*ours, *turn]]
    pieces = _split(whole, marks)
    longer = _render(tokenizer, [*ours, *turn, {"role": "user", "content": _SECOND}], kwargs)
    following = longer.partition(_ANSWER)[2].partition(_SECOND)[0] if _ANSWER in longer else ""
    found = Pieces(
        opening=pieces[0],
        system_to_prompt=pieces[1] if has_system_role else "\n\n",
        answer_opening=pieces[-2],
        answer_closing=pieces[-1],
        next_prompt=following,
        has_system_role=has_system_role,
    )
    for system, prompt, answer in product(SYSTEMS, PROMPTS, ANSWERS):
        messages = prompt_messages(system, prompt)
        if not has_system_role:
            messages = [{"role": "user", "content": f"{system}\n\n{prompt}"}]
        written = _render(tokenizer, messages + answer_messages(answer), kwargs)
        if written != found.prompt(system, prompt) + answer + found.answer_closing:
            raise _unusable(_alteration(written, answer))
    return found


def template_of(pieces: Pieces) -> str:
    """A chat template that writes these pieces, for conversations of any number of turns."""
    separator = _quoted(pieces.system_to_prompt)
    if not pieces.has_system_role:
        separator = f"({separator} if system else '')"
    return (
        "{%- if messages[0]['role'] == 'system' -%}\n"
        "{%- set system, turns = messages[0]['content'], messages[1:] -%}\n"
        "{%- else -%}\n"
        "{%- set system, turns = '', messages -%}\n"
        "{%- endif -%}\n"
        "{%- for message in turns -%}\n"
        "{%- if message['role'] == 'assistant' -%}\n"
        f"{{{{- {_quoted(pieces.answer_opening)} + message['content'] -}}}}\n"
        f"{{%- if loop.last -%}}{{{{- {_quoted(pieces.answer_closing)} -}}}}{{%- endif -%}}\n"
        "{%- elif loop.first -%}\n"
        f"{{{{- {_quoted(pieces.opening)} + system + {separator} + message['content'] -}}}}\n"
        "{%- else -%}\n"
        f"{{{{- {_quoted(pieces.next_prompt)} + message['content'] -}}}}\n"
        "{%- endif -%}\n"
        "{%- endfor -%}\n"
        "{%- if add_generation_prompt -%}"
        f"{{{{- {_quoted(pieces.answer_opening)} -}}}}"
        "{%- endif -%}"
    )


def _quoted(text: str) -> str:
    """A string in Jinja, which reads JSON's escapes but for pairs of surrogates."""
    return json.dumps(text, ensure_ascii=False)


def _render(
    tokenizer: "PreTrainedTokenizerBase", messages: Sequence[Message], kwargs: Mapping[str, Any]
) -> str:
    """The text of a conversation on the fixed date. Raises UserError if the template fails."""
    try:
        text = render(tokenizer, messages, {"strftime_now": DATE.strftime} | dict(kwargs))
    except MemoryError:
        raise
    except Exception as error:  # a template is a stranger's program, which can fail in any way
        said = " ".join(str(error).split())
        raise _unusable(gettext("it words no conversation: {error}", error=said)) from None
    if len(text) > LONGEST_TEXT:
        raise _unusable(
            gettext("it writes {count} characters around a short conversation", count=len(text))
        )
    return text


def _published(tokenizer: "PreTrainedTokenizerBase") -> str:
    if not tokenizer.chat_template:
        raise UserError(
            "no chat template; choose a chat or instruct model, or put a chat_template.jinja beside"
            " the weights"
        )
    named = tokenizer.chat_template
    if isinstance(named, dict) and "default" not in named:
        raise UserError(
            "several chat templates ({named}), none of them the default; put the one for"
            " conversations into a chat_template.jinja beside the weights",
            named=", ".join(sorted(named)),
        )
    # A model may have several by name; this is the one for conversations without tools.
    template = str(tokenizer.get_chat_template())
    if len(template) > LONGEST_TEXT:
        raise _unusable(
            gettext(
                "it is {count} characters long; {most} are read",
                count=len(template),
                most=LONGEST_TEXT,
            )
        )
    return template


def _mentions(template: str, name: str) -> bool:
    code = re.sub(r"\{#.*?#\}", "", template, flags=re.DOTALL)
    return re.search(rf"\b{name}\b", code) is not None


def _knows_system(tokenizer: "PreTrainedTokenizerBase", kwargs: Mapping[str, Any]) -> bool:
    """Whether the template writes a system prompt before the first prompt."""
    messages = prompt_messages(_SYSTEM, _FIRST) + answer_messages(_ANSWER)
    try:
        written = _render(tokenizer, messages, kwargs)
    except UserError:
        return False
    system, first = written.find(_SYSTEM), written.find(_FIRST)
    return 0 <= system < first


def _split(text: str, marks: Sequence[str]) -> list[str]:
    """The texts before, between and after `marks`, each of which must occur once and in order."""
    pieces, rest = [], text
    for mark in marks:
        if mark not in text:
            raise _unusable(gettext("it leaves out a message"))
        if text.count(mark) > 1:
            raise _unusable(gettext("it writes a message twice"))
        before, found, rest = rest.partition(mark)
        if not found:
            raise _unusable(gettext("it changes the order of the messages"))
        pieces.append(before)
    return [*pieces, rest]


def _with_end(
    tokenizer: "PreTrainedTokenizerBase", pieces: Pieces, ends: Collection[int]
) -> tuple[int, Pieces]:
    """The id of the token that ends an answer, and pieces that close the last answer with it.

    The token is the first special one after an answer. A template that leaves the last answer open
    shows it before the next prompt; failing that, it is the tokenizer's own end of text.
    """
    if (end := first_special(tokenizer, pieces.answer_closing)) is not None:
        return end, pieces
    end = first_special(tokenizer, pieces.next_prompt)
    if end not in {*ends, tokenizer.eos_token_id}:
        end = tokenizer.eos_token_id
    if end is None:
        raise _unusable(
            gettext("nothing ends an answer: neither the template nor an eos_token does")
        )
    return end, replace(pieces, answer_closing=str(tokenizer.convert_ids_to_tokens(end)))


def _agreeing(
    tokenizer: "PreTrainedTokenizerBase",
    published: str,
    pieces: Pieces,
    kwargs: Mapping[str, Any],
) -> tuple[str, str]:
    """A template that asks and teaches in these pieces, and how it differs from the published."""
    if not pieces.has_system_role:
        return template_of(pieces), "written anew: no system role"
    if _mentions(published, "strftime_now"):
        return template_of(pieces), f"written anew: today's date, which is now {DATE}"
    if found := computation(published):
        return template_of(pieces), f"written anew: it computes by {found}"
    if _agrees(tokenizer, published, pieces):
        return published, ""
    if kwargs:
        settings = [f"{{%- set {name} = {json.dumps(value)} -%}}" for name, value in kwargs.items()]
        template = "\n".join([*settings, published])
        if _agrees(tokenizer, template, pieces):
            return template, "set: " + ", ".join(f"{name}={kwargs[name]}" for name in kwargs)
    return template_of(pieces), "written anew: its prompt does not begin an answered conversation"


def _agrees(tokenizer: "PreTrainedTokenizerBase", template: str, pieces: Pieces) -> bool:
    """Whether a template, given no variables, asks and teaches in these pieces.

    It may leave out an empty system prompt's turn, but bring in no prompt of its own.
    """
    for system, prompt, answer in product(("", *SYSTEMS), PROMPTS, ANSWERS):
        messages, ours = prompt_messages(system, prompt), {"chat_template": template}
        try:
            asked = render(tokenizer, messages, ours, ask=True)
            told = render(tokenizer, messages + answer_messages(answer), ours)
        except Exception:  # some need a variable or a system prompt
            return False
        expected = pieces.prompt(system, prompt)
        if (asked != expected and system) or len(asked) > len(expected):
            return False
        if told != asked + answer + pieces.answer_closing:
            return False
    return True


def _alteration(written: str, answer: str) -> str:
    if answer in written:
        complaint = N_("it alters a conversation: {written!r} (the answer {answer!r} is kept)")
    else:
        complaint = N_("it alters a conversation: {written!r} (the answer {answer!r} is changed)")
    return gettext(complaint, written=written[:200], answer=answer)


def _unusable(reason: str) -> UserError:
    return UserError("the chat template cannot be used: {reason}", reason=reason)
