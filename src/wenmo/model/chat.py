"""The chat format: how a system prompt and a user's prompt become the text that a model reads."""

from typing import Any

from wenmo.config.chat import ChatParams
from wenmo.core.records import Row

# The ChatML template of Qwen, less its default system prompts, which differ from model to model:
# the system prompt always comes from params.yaml.
CHATML_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)

# Added to a template that leaves a conversation's last answer open.
_CLOSING = (
    "{% if not add_generation_prompt and messages[-1]['role'] == 'assistant' %}"
    "{{ eos_token }}"
    "{% endif %}"
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


def turns(row: Row, chat: ChatParams) -> dict[str, list[Message]]:
    """A row as TRL's conversational prompt and completion: the loss covers the completion only."""
    return {
        "prompt": prompt_messages(chat.system_prompt, row.prompt),
        "completion": answer_messages(row.output),
    }


def chat_text(tokenizer: Any, messages: list[Message]) -> str:
    """The exact text before the answer, ending where the assistant's turn opens."""
    return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))


def close_answers(tokenizer: Any) -> None:
    """See to it that the tokenizer's chat template ends an answer with the end of a turn.

    The first template of Qwen1.5-Chat writes nothing after the last answer, since it expects to be
    asked to go on; a model trained on it would never learn to stop.
    """
    messages = prompt_messages("系统", "问") + answer_messages("答")
    if tokenizer.apply_chat_template(messages, tokenize=False).endswith("答"):
        tokenizer.chat_template += _CLOSING
