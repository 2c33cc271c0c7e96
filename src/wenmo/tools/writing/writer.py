"""Writing one text as it comes: what terminal and page ask of models, here or at an endpoint."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

from pydantic import ValidationError

from wenmo.config.chat import ChatParams
from wenmo.config.generate import GenerateParams, Sampling
from wenmo.core.errors import ParamsError
from wenmo.engines.engine import Completion, Prompt, prompt_seed
from wenmo.model.chat import prompt_messages

ModelName = Literal["base", "tuned"]
MODELS: tuple[ModelName, ...] = get_args(ModelName)

STOPPED = "stopped"
"""The finish_reason of a text that its reader stopped."""

MAX_TYPED = 500
"""Longest theme that is taken from the web (characters)."""

MAX_SEED = 2**31
"""Seeds are below: as large as any endpoint takes and a browser can count."""

Hear = Callable[[str], bool]
"""Is told the text so far each time that it has grown; False stops it."""


@dataclass(frozen=True)
class Asked:
    """What one text follows from, beside the model: task, request, seed and sampling."""

    task: str
    request: str
    seed: int
    sampling: Sampling

    def prompt(self, chat: ChatParams) -> Prompt:
        """The conversation, with the same draw for base and for tuned."""
        return Prompt(
            prompt_messages(chat.system_prompt, self.request),
            prompt_seed(self.seed, self.request),
        )


@dataclass(frozen=True)
class TaskParams:
    """What params.yaml says of a task's writing."""

    generate: GenerateParams
    chat: ChatParams

    @classmethod
    def load(cls, task: str) -> "TaskParams":
        """Raises ParamsError naming key and value."""
        return cls(GenerateParams.load("generate", task), ChatParams.load("chat", task))


class Writer(Protocol):
    """Base and tuned models of some tasks. Several threads may ask at a time."""

    tasks: tuple[str, ...]

    @property
    def models(self) -> str:
        """Tells these weights from others, so that a link knows its own; empty if not known."""

    def read(self) -> None:
        """Have the models in memory, if they are to be in this process's."""

    def write(self, model: ModelName, asked: Asked, hear: Hear) -> Completion:
        """The whole text. What was heard before is the beginning of what is heard after.

        Raises UserError where model, endpoint or context won't do.
        """


def changed(sampling: Sampling, **values: float) -> Sampling:
    """Sampling with some values changed. Raises ParamsError naming one that is not allowed."""
    try:
        return Sampling.model_validate(sampling.model_dump() | values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ParamsError(f"{first['loc'][0]}: {first['input']!r}: {first['msg']}") from None


def sure_part(text: str, stop: list[str]) -> str:
    """What of the beginning of an answer will stand, however it goes on.

    Left out are half a character, spaces at either end, and what may be the start of a `stop`
    string.
    """
    text = text.lstrip().rstrip("\N{REPLACEMENT CHARACTER}")
    cut = min((_start_of(each, text) for each in stop), default=len(text))
    return text[:cut].rstrip()


def _start_of(stop: str, text: str) -> int:
    """Where a string begins in a text, or may begin at its end; else the text's length."""
    found = text.find(stop)
    if found >= 0:
        return found
    first = max(0, len(text) - len(stop) + 1)
    return next((at for at in range(first, len(text)) if stop.startswith(text[at:])), len(text))
