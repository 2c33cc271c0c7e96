"""The chat format: how a system prompt and a user's prompt become the tokens that a model reads.

What the template writes around the messages is made of control tokens, such as <|im_end|>. Within a
message the same characters are text: a book may quote them, and whoever writes a prompt must not be
able to end a turn.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from wenmo.config.chat import ChatParams
from wenmo.core.errors import UserError
from wenmo.core.records import Row, Turn
from wenmo.text.thinking import CLOSING, OPENING

if TYPE_CHECKING:
    import numpy as np

# The ChatML template of Qwen, less its default system prompts, which differ from model to model:
# the system prompt always comes from params.yaml.
CHATML_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)

Message = dict[str, str]

CUT = "\ufdd0"
"""Stands within a control token that a message quotes; Unicode keeps it out of texts."""


def prompt_messages(system_prompt: str, prompt: str, history: Sequence[Turn] = ()) -> list[Message]:
    """The conversation up to where the model answers; `history` are the turns before."""
    messages = [{"role": "system", "content": system_prompt}]
    for asked, answer in history:
        messages += [{"role": "user", "content": asked}, *answer_messages(answer)]
    return [*messages, {"role": "user", "content": prompt}]


def answer_messages(answer: str) -> list[Message]:
    """The model's turn, as training data shows it."""
    return [{"role": "assistant", "content": answer}]


def render(
    tokenizer: Any,
    messages: Sequence[Message],
    variables: Mapping[str, Any] = MappingProxyType({}),
    *,
    ask: bool = False,
) -> str:
    """The chat template's text of a conversation; `ask` opens the model's turn at its end.

    `variables` are for the template, or options of the tokenizer's method.
    """
    return str(
        tokenizer.apply_chat_template(
            list(messages), tokenize=False, add_generation_prompt=ask, **variables
        )
    )


def chat_text(tokenizer: Any, messages: Sequence[Message]) -> str:
    """The exact text before the answer, ending where the assistant's turn opens."""
    return render(tokenizer, messages, ask=True)


@dataclass(frozen=True)
class Conversation:
    """The token ids of a prompt, as an engine asks it, and of the answer with what closes it.

    They are arrays of int32 of shape (tokens,), a ninth of what lists of Python's integers take.
    `learnt` has the start and end of each answer within the prompt that is learnt from as well.
    """

    prompt: "np.ndarray"
    answer: "np.ndarray"
    learnt: tuple[tuple[int, int], ...] = ()

    def __len__(self) -> int:
        return len(self.prompt) + len(self.answer)


def conversation(tokenizer: Any, row: Row, chat: ChatParams) -> Conversation:
    """A row's tokens, as `conversations_of` has them."""
    (found,) = conversations_of(tokenizer, [row], chat)
    return found


def conversations_of(tokenizer: Any, rows: Sequence[Row], chat: ChatParams) -> list[Conversation]:
    """Each row's tokens by a chat template that base_model has found to ask as it teaches.

    Raises UserError if the template alters one of these rows: some take out what looks like
    thinking.
    """
    import numpy as np

    texts = [_asked_and_whole(tokenizer, row, chat) for row in rows]
    prompts = texts_ids(tokenizer, [asked for asked, _ in texts])
    wholes = texts_ids(tokenizer, [whole for _, whole in texts])
    found = []
    for (asked, whole), prompt, ids in zip(texts, prompts, wholes, strict=True):
        # No engine can write a token that spans the boundary: the prompt is asked without it.
        spanned = ids[: len(prompt)] != prompt
        answer = token_ids(tokenizer, whole[len(asked) :]) if spanned else ids[len(prompt) :]
        found.append(Conversation(np.array(prompt, np.int32), np.array(answer, np.int32)))
    return found


def _asked_and_whole(tokenizer: Any, row: Row, chat: ChatParams) -> tuple[str, str]:
    """The texts of a row's prompt and of its whole conversation, which begins with the prompt's."""
    messages = prompt_messages(chat.system_prompt, row.prompt, row.history)
    *before, answered = as_text(tokenizer, [*messages, *answer_messages(row.output)])
    asked, whole = chat_text(tokenizer, before), render(tokenizer, [*before, answered])
    # Many templates strip white space off a text.
    kept = _stand_in(asked, [message["content"].strip() for message in before[1:]])
    if (
        not kept
        or not whole.startswith(asked)
        or not whole[len(asked) :].lstrip().startswith(answered["content"].strip())
    ):
        raise UserError(
            "{source} row {position}: the chat template alters its text; remove what looks like a"
            " tag, such as <think>",
            source=row.source,
            position=row.position,
        )
    return asked, whole


def prompt_ids(tokenizer: Any, prompts: Sequence[Sequence[Message]]) -> list[list[int]]:
    """The token ids of each conversation up to where the model answers."""
    return texts_ids(
        tokenizer, [chat_text(tokenizer, as_text(tokenizer, messages)) for messages in prompts]
    )


def texts_ids(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """The ids of each text, as `token_ids` has them."""
    # All at once, since the tokenizer then uses every core.
    ids: list[list[int]] = tokenizer(list(texts), add_special_tokens=False)["input_ids"]
    return [
        token_ids(tokenizer, text) if CUT in text else of_text
        for text, of_text in zip(texts, ids, strict=True)
    ]


def as_text(tokenizer: Any, messages: Sequence[Message]) -> list[Message]:
    """The messages, with each control token that they quote cut in two for `token_ids`."""
    quoted = control_tokens(tokenizer)
    return [
        message | {"content": quoted.sub(rf"\g<0>{CUT}", message["content"].replace(CUT, ""))}
        for message in messages
    ]


@lru_cache(maxsize=8)
def control_tokens(tokenizer: Any) -> re.Pattern[str]:
    """Finds the first character of each control token in a text, overlapping ones included.

    They are the special tokens, and others that the chat template writes as one token. Tags of
    thinking are left to the template, so that `conversation` refuses a text that it alters.
    """
    turn = prompt_messages("系统", "问", [("问", "答")])
    written = chat_text(tokenizer, turn) + render(tokenizer, turn + answer_messages("答"))
    named = {str(token) for token in tokenizer.all_special_tokens}
    for token in tokenizer.added_tokens_decoder.values():
        if token.special or token.content in written:
            named.add(token.content)
    # A run of white space, or one character, is no mark that a text could only quote.
    marks = sorted(token for token in named - {*OPENING, *CLOSING} if len(token.strip()) > 1)
    return re.compile(f"(?=({'|'.join(map(re.escape, marks)) or '(?!)'})).", re.DOTALL)


def _stand_in(text: str, parts: Sequence[str]) -> bool:
    """Whether the parts stand in a text one after the other."""
    at = 0
    for part in parts:
        at = text.find(part, at) + len(part)
        if at < len(part):
            return False
    return True


def end_token(tokenizer: Any) -> int:
    """The id of the token that ends an answer: the first special one that closes a conversation.

    Raises UserError if there is none, and what jinja raises if the template is broken.
    """
    messages = prompt_messages("系统", "问") + answer_messages("答")
    end = first_special(tokenizer, render(tokenizer, messages).rpartition("答")[2])
    if end is None:
        raise UserError("it leaves the answer open")
    return end


def first_special(tokenizer: Any, text: str) -> int | None:
    """The id of the first token in a text that stands for no words; None if there is none.

    It is a special token if there is one. Some models mark the tokens of their turns as added ones
    only, which others also have for runs of white space.
    """
    added = tokenizer.added_tokens_decoder.items()
    special = {at for at, token in added if token.special} | {tokenizer.eos_token_id}
    plain = {at for at, token in added if token.content.strip()}
    ids = token_ids(tokenizer, text)
    return next((each for kind in (special, plain) for each in ids if each in kind), None)


def token_ids(tokenizer: Any, text: str) -> list[int]:
    """The ids of a text of the chat template, which has written all special tokens already.

    A control token that `as_text` has cut is read as text.
    """

    def read(part: str) -> list[int]:
        return tokenizer(part, add_special_tokens=False)["input_ids"]  # type: ignore[no-any-return]

    first, *others = text.split(CUT)
    # Some tokenizers write a space before the start of what they are given, but after no token.
    guard = tokenizer.eos_token or ""
    return read(first) + [id_ for part in others for id_ in read(guard + part)[len(read(guard)) :]]
