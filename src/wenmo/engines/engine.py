"""The interface of all engines: prompts in, texts out in order of completion."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

from wenmo.config.generate import Sampling
from wenmo.core.errors import UserError
from wenmo.model.chat import Message, prompt_ids
from wenmo.model.loading import refuse_without_adapter, refuse_without_model
from wenmo.text.asked_verse import Verse
from wenmo.text.thinking import without_thinking

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

CUT_CHARACTER = "\N{REPLACEMENT CHARACTER}"
"""What a decoder writes for a part of a character."""


@dataclass(frozen=True)
class Model:
    """The weights in `folder`, with an adapter over them if there is one.

    `name` is `base` or `tuned`; an endpoint has its own name for each in params.yaml.
    """

    name: str
    folder: Path
    adapter: Path | None = None


@dataclass(frozen=True)
class Prompt:
    """A conversation to answer; sampling depends on this prompt's own `seed` (63 bits).

    `verse` is what the answer must keep if it is a poem that is written by rule.
    """

    messages: list[Message]
    seed: int
    verse: Verse | None = None

    @property
    def id(self) -> str:
        """sha256 of conversation, seed and verse; its completion has the same id."""
        rules = [asdict(self.verse)] if self.verse else []
        content = json.dumps([self.messages, self.seed, *rules], ensure_ascii=False)
        return hashlib.sha256(content.encode()).hexdigest()


@dataclass(frozen=True)
class Completion:
    """The answer to the prompt of the same id; `finish_reason` is `stop` or `length`.

    `tokens` counts the answer's tokens with its end token. An endpoint may give other reasons.
    """

    id: str
    text: str
    finish_reason: str
    tokens: int


OnTokens = Callable[[int], None]
"""Gets the number of tokens written since its last call; any thread may call it."""


def ignore(_: int) -> None:
    """Nobody looks at the progress."""


class Engine(Protocol):
    """Runs models. A model is loaded at its first prompt and freed at the end.

    `cost` holds what varies from run to run, such as calls and money.
    """

    cost: dict[str, Any]

    def generate(
        self,
        model: Model,
        prompts: Sequence[Prompt],
        sampling: Sampling,
        on_tokens: OnTokens = ignore,
    ) -> Iterator[Completion]:
        """One completion per prompt, in order of completion; `sampling.n` is up to the caller.

        `on_tokens` is told of tokens as they are written, if the engine knows.
        A prompt's completion does not depend on the other prompts: on CPUs always, on GPUs with
        vLLM's `batch_invariant`. Raises UserError if the model or endpoint fails or the context is
        too small.
        """

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


def refuse_without(models: Sequence[Model]) -> None:
    """Raise UserError for the first model or adapter that is missing or broken."""
    for model in models:
        refuse_without_model(model.folder)
        if model.adapter:
            refuse_without_adapter(model.adapter)


def prompt_seed(seed: int, row_id: str, draw: int = 0) -> int:
    """A seed of 63 bits for one draw of one row, whatever the other rows are."""
    digest = hashlib.sha256(f"{seed}/{row_id}/{draw}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def prompt_tokens(
    prompts: Sequence[Prompt],
    tokenizer: "PreTrainedTokenizerBase",
    sampling: Sampling,
    context: int,
) -> list[list[int]]:
    """The token ids of each prompt, worded by the chat template.

    `context` is the model's context length (tokens). Raises UserError if the longest prompt leaves
    no room for the answer.
    """
    tokens = prompt_ids(tokenizer, [prompt.messages for prompt in prompts])
    longest = max(range(len(tokens)), key=lambda index: len(tokens[index]))
    if len(tokens[longest]) + sampling.max_new_tokens > context:
        raise UserError(
            "{prompt!r}: {tokens} tokens and generate.sampling.max_new_tokens ({max_new_tokens})"
            " do not fit into a context of {context}; lower max_new_tokens",
            prompt=prompts[longest].messages[-1]["content"][:20],
            tokens=len(tokens[longest]),
            max_new_tokens=sampling.max_new_tokens,
            context=context,
        )
    return tokens


def without_cut_character(text: str) -> str:
    """A text that was cut, without the part of a character that it ends in."""
    return text.rstrip(CUT_CHARACTER)


def unfinished_text(tokens: Sequence[int], tokenizer: "PreTrainedTokenizerBase") -> str:
    """The text of an unfinished answer, without the part of a character at its end.

    A byte-level decoder writes U+FFFD for that part. A byte-fallback decoder writes one for each
    byte of the whole run of bytes, whole characters included
    (https://huggingface.co/docs/tokenizers/api/decoders), so the text is also decoded without its
    last tokens. Of a character of UTF-8 at most 3 bytes, hence tokens, can be there.
    """
    text: str = tokenizer.decode(tokens, skip_special_tokens=True)
    if not text.endswith(CUT_CHARACTER):
        return text
    starts = [tokens[: len(tokens) - missing] for missing in range(1, min(3, len(tokens)) + 1)]
    texts = [text, *(tokenizer.decode(start, skip_special_tokens=True) for start in starts)]
    return max((without_cut_character(each) for each in texts), key=len)


def completion(
    prompt: Prompt,
    tokens: list[int],
    ended: bool,
    tokenizer: "PreTrainedTokenizerBase",
    stop: Sequence[str],
) -> Completion:
    """The tokens of an answer as text, without thinking, cut before the first `stop` string.

    Of an answer that has not `ended`, a character that its length cut in two is left out. Thinking
    that does not end leaves no text, as a cut at `length`.
    """
    text = (
        tokenizer.decode(_without_end(tokens, tokenizer), skip_special_tokens=True)
        if ended
        else unfinished_text(tokens, tokenizer)
    )
    answer = without_thinking(text)
    text = answer or ""
    cut = min((at for each in stop if (at := text.find(each)) >= 0), default=None)
    ended = answer is not None and (ended or cut is not None)
    return Completion(
        id=prompt.id,
        text=text[:cut].strip(),
        finish_reason="stop" if ended else "length",
        tokens=len(tokens),
    )


def _without_end(tokens: list[int], tokenizer: "PreTrainedTokenizerBase") -> list[int]:
    """An answer that has ended, less its end: some models do not mark it as a special token."""
    marked = tokens and tokens[-1] in tokenizer.added_tokens_decoder
    return tokens[:-1] if marked else tokens
