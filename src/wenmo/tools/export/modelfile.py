"""Ollama's Modelfile for a task: the prompt that the model was trained on, and where it ends.

https://docs.ollama.com/modelfile
"""

import re
from dataclasses import dataclass
from typing import Any

from jinja2 import TemplateError

from wenmo.config.generate import Sampling
from wenmo.core.errors import UserError
from wenmo.model.chat import chat_text, prompt_messages

SYSTEM, USER = "wenmo-system-prompt", "wenmo-user-prompt"
"""Texts that stand for the two prompts while a chat template is taken apart."""

FENCE = '"""'


@dataclass(frozen=True)
class PromptFormat:
    """The text around the system prompt and the user's prompt, the start of the answer included."""

    before: str
    between: str
    after: str

    def template(self) -> str:
        """As a template of Go, with Ollama's names for the two prompts and the answer.

        https://docs.ollama.com/modelfile#template
        """
        before, between, after = map(_literal, (self.before, self.between, self.after))
        return before + "{{ .System }}" + between + "{{ .Prompt }}" + after + "{{ .Response }}"


def prompt_format(tokenizer: Any) -> PromptFormat:
    """The tokenizer's chat template for one system prompt and one prompt, taken apart.

    Raises UserError if either does not stand exactly once in the prompt, the system prompt first.
    """
    try:
        text = chat_text(tokenizer, prompt_messages(SYSTEM, USER))
    except TemplateError as error:
        raise UserError("the chat template words no prompt: {error}", error=error) from None
    if re.findall(f"{SYSTEM}|{USER}", text) != [SYSTEM, USER]:
        raise UserError(
            "the chat template does not write the system prompt and then the user's prompt, each"
            " once, which is all that a Modelfile can say"
        )
    return PromptFormat(*re.split(f"{SYSTEM}|{USER}", text))


def modelfile(
    weights: str, prompt: PromptFormat, system_prompt: str, stops: list[str], sampling: Sampling
) -> str:
    """The Modelfile for a GGUF file beside it, with the sampling settings of params.yaml.

    Raises UserError for a prompt that no Modelfile can hold.
    """
    parameters = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "repeat_penalty": sampling.repetition_penalty,
        "num_predict": sampling.max_new_tokens,
    }
    lines = [
        f"FROM ./{weights}",
        f"TEMPLATE {_quoted(prompt.template())}",
        f"SYSTEM {_quoted(system_prompt)}",
        *(f"PARAMETER stop {_quoted(stop)}" for stop in [*stops, *sampling.stop]),
        *(f"PARAMETER {name} {value}" for name, value in parameters.items()),
    ]
    return "\n".join(lines) + "\n"


def _literal(text: str) -> str:
    """A text that Go's templates write as it stands."""
    return re.sub(r"\{\{|\}\}", lambda braces: f'{{{{ "{braces[0]}" }}}}', text)


def _quoted(text: str) -> str:
    if FENCE in text:
        raise UserError(
            "a Modelfile cannot hold three quotation marks in a row, as in {text!r}", text=text
        )
    return f"{FENCE}{text}{FENCE}"
