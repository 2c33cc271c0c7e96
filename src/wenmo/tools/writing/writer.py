"""What terminal and web page need of the models: base and tuned write one text, as a stream."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

from pydantic import ValidationError

from wenmo.config.chat import ChatParams
from wenmo.config.complaints import complaint_about
from wenmo.config.generate import GenerateParams, Sampling
from wenmo.core.errors import ParamsError
from wenmo.engines.engine import Completion, Prompt, prompt_seed, without_cut_character
from wenmo.model.chat import prompt_messages
from wenmo.text.asked_verse import Verse
from wenmo.text.thinking import CLOSING, OPENING, after_thinking

ModelName = Literal["base", "tuned"]
MODELS: tuple[ModelName, ...] = get_args(ModelName)

STOPPED = "stopped"
"""The finish_reason of a text that its reader stopped."""

MAX_SEED = 2**31
"""Seeds are below this: every endpoint accepts them and a browser can hold them exactly."""

OnText = Callable[[str], bool]
"""Gets the text so far each time that it has grown; returning False stops the text."""


@dataclass(frozen=True)
class TextRequest:
    """All that a text depends on besides the model: task, worded prompt, seed and sampling.

    A poem may have a `verse` that it must keep.
    """

    task: str
    prompt: str
    seed: int
    sampling: Sampling
    verse: Verse | None = None

    def engine_prompt(self, chat: ChatParams) -> Prompt:
        """The conversation with its seed, which base and tuned share."""
        return Prompt(
            prompt_messages(chat.system_prompt, self.prompt),
            prompt_seed(self.seed, self.prompt),
            self.verse,
        )


@dataclass(frozen=True)
class WritingParams:
    """The sections of params.yaml that a task's texts are written with."""

    generate: GenerateParams
    chat: ChatParams

    @classmethod
    def load(cls, task: str) -> "WritingParams":
        """Raises ParamsError naming key and value."""
        return cls(GenerateParams.load("generate", task), ChatParams.load("chat", task))


@dataclass(frozen=True)
class Written(Completion):
    """A text with the places, from 0, of the characters that the model did not like best there.

    The rules of its verse did not allow what it would have liked.
    """

    forced: frozenset[int] = frozenset()


class Writer(Protocol):
    """Base and tuned models of some tasks. Several threads may call it at a time."""

    tasks: tuple[str, ...]

    @property
    def weights_digest(self) -> str:
        """Differs for weights that write other texts; empty if the weights are not known."""

    def read(self) -> None:
        """Load the models, if they run in this process."""

    def write(self, model: ModelName, request: TextRequest, on_text: OnText) -> Completion:
        """The whole text. Each text that `on_text` gets begins with the one before it.

        An endpoint's text begins anew if what it had sent turns out to be thinking.

        Raises UserError if a model, the endpoint or the context is too small or fails.
        """


def sampling_with(sampling: Sampling, **values: float) -> Sampling:
    """The sampling with some values replaced. Raises ParamsError naming a value not allowed."""
    try:
        return Sampling.model_validate(sampling.model_dump() | values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ParamsError(
            "{key}: {value!r}: {complaint}",
            key=first["loc"][0],
            value=first["input"],
            complaint=complaint_about(first),
        ) from None


def stable_prefix(text: str, stop: list[str]) -> str:
    """The part of an unfinished answer that no later token can change.

    It leaves out thinking, an incomplete character, white space at either end, and what may be the
    beginning of a `stop` string.
    """
    text = without_cut_character(after_thinking(text).lstrip())
    cut = min(_start_of(each, text) for each in (*stop, *OPENING, *CLOSING))
    return text[:cut].rstrip()


def _start_of(stop: str, text: str) -> int:
    """Where a string begins in a text, or may begin at its end; else the text's length."""
    found = text.find(stop)
    if found >= 0:
        return found
    first = max(0, len(text) - len(stop) + 1)
    return next((at for at in range(first, len(text)) if stop.startswith(text[at:])), len(text))
