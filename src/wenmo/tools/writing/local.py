"""The models in models/ as a writer: the base once in memory, with every task's adapter on it.

A text is drawn by the engine `transformers` itself, so that request, seed and sampling give the
very text that the pipeline would write with `generate.weights: adapter`.
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from logging import ERROR, getLogger
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

# Before torch: the same code path as in the pipeline.
import wenmo.core.stage  # noqa: F401
from wenmo.config.generate import GenerateParams
from wenmo.core.errors import UserError
from wenmo.engines.engine import Completion, Model, completion, prompt_tokens
from wenmo.model.folder import WEIGHTS
from wenmo.model.provenance import digests, settings_digest
from wenmo.tools.writing.writer import STOPPED, Asked, Hear, ModelName, TaskParams, sure_part

if TYPE_CHECKING:
    from transformers import PreTrainedModel

BASE = Path("models/base")
ADAPTERS = Path("models/adapters")
NEEDED = ("config.json", WEIGHTS, "tokenizer*")
NEEDED_OF_ADAPTER = ("adapter_config.json", WEIGHTS)


class Turns:
    """A lock that goes from hand to hand: who lets others in waits behind those at the door."""

    def __init__(self) -> None:
        self._door, self._room = Lock(), Lock()

    def __enter__(self) -> None:
        with self._door:
            self._room.acquire()

    def __exit__(self, *_: object) -> None:
        self._room.release()

    @contextmanager
    def others(self) -> Iterator[None]:
        """Meanwhile it is the others' turn."""
        self._room.release()
        try:
            yield
        finally:
            self.__enter__()


class LocalWriter:
    """Texts that are under way at a time take turns, a token each."""

    def __init__(self, tasks: Sequence[str]) -> None:
        """Nothing is read yet. Raises UserError where a model is missing."""
        self.tasks = tuple(tasks)
        self.params = {task: TaskParams.load(task) for task in tasks}
        self.turns = Turns()
        self.active: Model | None = None
        for folder, needed in (
            (BASE, NEEDED),
            *((ADAPTERS / task, NEEDED_OF_ADAPTER) for task in tasks),
        ):
            if not is_there(folder, needed):
                raise UserError(f"{folder}: no model there; `make repro` builds it")

    def read(self) -> None:
        """Have base, adapters and tokenizer in memory."""
        with self.turns:
            if self.active:
                return
            quieten()
            # These take seconds to import.
            from wenmo.engines.transformers import TransformersEngine
            from wenmo.model.loading import context_length, end_tokens, load_tokenizer

            self.tokenizer = load_tokenizer(BASE)
            self.ends, self.context = end_tokens(BASE), context_length(BASE)
            self.engine = TransformersEngine(GenerateParams.load("generate"))
            for task in self.tasks:
                self._taken_up(model_of("tuned", task))

    @property
    def models(self) -> str:
        """Tells these weights from others, as far as texts may differ."""
        folders = [BASE, *(ADAPTERS / task for task in self.tasks)]
        return settings_digest({str(each): digests(each) for each in folders})[:12]

    def write(self, model: ModelName, asked: Asked, hear: Hear) -> Completion:
        """The whole text; `hear` is told of it after each token."""
        self.read()
        from accelerate.utils.memory import should_reduce_batch_size

        from wenmo.engines.decoding import decode
        from wenmo.engines.transformers import is_stopped

        sampling, which = asked.sampling, model_of(model, asked.task)
        prompt = asked.prompt(self.params[asked.task].chat)
        (tokens,) = prompt_tokens([prompt], self.tokenizer, sampling, self.context)
        going_on = True

        def is_over(answer: list[int]) -> bool:
            nonlocal going_on
            if is_stopped(answer, self.tokenizer, sampling.stop):
                return True
            text = self.tokenizer.decode(answer, skip_special_tokens=True)
            with self.turns.others():
                going_on = hear(sure_part(text, sampling.stop))
            self._taken_up(which)
            return not going_on

        try:
            with self.turns:
                weights = self._taken_up(which)
                ((_, answer),) = decode(
                    weights, [tokens], [prompt.seed], sampling, self.ends, is_over
                )
        except Exception as error:
            if not should_reduce_batch_size(error):
                raise
            raise UserError("out of memory; lower generate.sampling.max_new_tokens") from None
        ended = answer[-1] in self.ends
        whole = completion(prompt, answer, ended, self.tokenizer, sampling.stop)
        if going_on:
            return whole
        return Completion(prompt.id, sure_part(whole.text, []), STOPPED, len(answer))

    def _taken_up(self, model: Model) -> "PreTrainedModel":
        """The weights, with that model's adapter on or none; only in one's turn."""
        if self.active != model:
            # Half way through it is neither.
            self.active = None
            self.engine.loaded(model)
            self.active = model
        weights = self.engine.model
        if weights is None:
            raise RuntimeError("no model is loaded")
        return weights


def quieten() -> None:
    """Keep what libraries say while they load models out of a reader's text.

    transformers 5 takes the adapters that are there already for missing in the next one's file.
    """
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    getLogger("bitsandbytes").setLevel(ERROR)
    warnings.filterwarnings("ignore", module="peft")


def model_of(name: ModelName, task: str) -> Model:
    """The base, or the base with the task's adapter."""
    return Model(name, BASE, ADAPTERS / task if name == "tuned" else None)


def trained(tasks: Sequence[str]) -> list[str]:
    """Those that have an adapter."""
    return [task for task in tasks if is_there(ADAPTERS / task, NEEDED_OF_ADAPTER)]


def is_there(folder: Path, needed: Sequence[str]) -> bool:
    """Whether a folder has a file of each pattern."""
    return all(any(folder.glob(pattern)) for pattern in needed)
