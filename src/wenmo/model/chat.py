"""The chat format: how a system prompt and a user's prompt become the text that a model reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from wenmo.config.chat import ChatParams
from wenmo.core.errors import UserError
from wenmo.core.records import Row

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


def prompt_messages(system_prompt: str, prompt: str) -> list[Message]:
    """The conversation up to where the model answers."""
    return [
        {"role": "system", "content": system_prompt},
        {"role": "user", "content": prompt},
    ]


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
    """

    prompt: "np.ndarray"
    answer: "np.ndarray"

    def __len__(self) -> int:
        return len(self.prompt) + len(self.answer)


def conversation(tokenizer: Any, row: Row, chat: ChatParams) -> Conversation:
    """A row's tokens by a chat template that base_model has found to ask as it teaches.

    Raises UserError if the template alters this very row: some take out what looks like thinking.
    """
    import numpy as np

    messages = prompt_messages(chat.system_prompt, row.prompt)
    asked = chat_text(tokenizer, messages)
    whole = render(tokenizer, messages + answer_messages(row.output))
    rest = whole.removeprefix(asked)
    # Many templates strip white space off a text.
    if not whole.startswith(asked) or not rest.lstrip().startswith(row.output.strip()):
        raise UserError(
            f"{row.source} row {row.position}: the chat template alters its text; remove what looks"
            " like a tag, such as <think>"
        )
    prompt, ids = token_ids(tokenizer, asked), token_ids(tokenizer, whole)
    # No engine can write a token that spans the boundary: the prompt is asked without it.
    spanned = ids[: len(prompt)] != prompt
    answer = token_ids(tokenizer, rest) if spanned else ids[len(prompt) :]
    return Conversation(np.array(prompt, np.int32), np.array(answer, np.int32))


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
    """The ids of a text of the chat template, which has written all special tokens already."""
    return tokenizer(text, add_special_tokens=False)["input_ids"]  # type: ignore[no-any-return]
