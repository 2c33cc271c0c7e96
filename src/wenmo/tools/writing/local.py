"""The models in models/ as a writer: the base is in memory once, with every task's adapter on it.

The engine `transformers` writes the texts, so that the same prompt, seed and sampling give the text
that the pipeline writes with `generate.weights: adapter`.
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from logging import ERROR, getLogger
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

# Before torch: this module sets the code path on which torch's CPU results depend.
import wenmo.core.stage  # noqa: F401
from wenmo.config.generate import GenerateParams
from wenmo.core.errors import UserError
from wenmo.core.language import gettext
from wenmo.engines.engine import Completion, Model, completion, prompt_tokens, unfinished_text
from wenmo.model.folder import WEIGHTS
from wenmo.model.provenance import digests, settings_digest
from wenmo.tools.task_names import task_left_out
from wenmo.tools.writing.writer import (
    STOPPED,
    ModelName,
    OnText,
    TextRequest,
    WritingParams,
    Written,
    stable_prefix,
)

if TYPE_CHECKING:
    from transformers import PreTrainedModel

BASE = Path("models/base")
ADAPTERS = Path("models/adapters")
MODEL_FILES = ("config.json", WEIGHTS, "tokenizer*")
ADAPTER_FILES = ("adapter_config.json", WEIGHTS)


class FairLock:
    """A lock that a thread cannot take again while another one waits for it."""

    def __init__(self) -> None:
        self._queue, self._lock = Lock(), Lock()

    def __enter__(self) -> None:
        with self._queue:
            self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    @contextmanager
    def released(self) -> Iterator[None]:
        """Let a waiting thread have the lock; take it again at the end."""
        self._lock.release()
        try:
            yield
        finally:
            self.__enter__()


class LocalWriter:
    """Texts that are written at the same time take turns, one token each."""

    def __init__(self, tasks: Sequence[str]) -> None:
        """Loads nothing. Raises UserError if a model is missing."""
        self.tasks = tuple(tasks)
        self.params = {task: WritingParams.load(task) for task in tasks}
        self.lock = FairLock()
        self.active: Model | None = None
        for folder, files in (
            (BASE, MODEL_FILES),
            *((ADAPTERS / task, ADAPTER_FILES) for task in tasks),
        ):
            if not has_files(folder, files):
                way_out = task_left_out(folder.name) if folder != BASE else ""
                raise UserError(
                    "{folder}: no model there; {way_out}",
                    folder=folder,
                    way_out=way_out or gettext("`make repro` builds it"),
                )

    def read(self) -> None:
        """Load base, adapters and tokenizer, unless they are in memory."""
        with self.lock:
            if self.active:
                return
            silence_libraries()
            # These imports take seconds.
            from wenmo.engines.transformers import TransformersEngine
            from wenmo.model.loading import context_length, end_tokens, load_tokenizer

            self.tokenizer = load_tokenizer(BASE)
            self.ends, self.context = end_tokens(BASE), context_length(BASE)
            self.engine = TransformersEngine(GenerateParams.load("generate"))
            for task in self.tasks:
                self._activate(model_of("tuned", task))

    @property
    def weights_digest(self) -> str:
        """A digest of the weight files of base and adapters."""
        folders = [BASE, *(ADAPTERS / task for task in self.tasks)]
        return settings_digest({str(each): digests(each) for each in folders})[:12]

    def write(self, model: ModelName, request: TextRequest, on_text: OnText) -> Completion:
        """The whole text; `on_text` is called after each token."""
        self.read()
        from accelerate.utils.memory import should_reduce_batch_size

        from wenmo.engines.decoding import decode
        from wenmo.engines.transformers import is_stopped
        from wenmo.engines.verse_rows import VerseRows

        sampling, wanted = request.sampling, model_of(model, request.task)
        prompt = request.engine_prompt(self.params[request.task].chat)
        (tokens,) = prompt_tokens([prompt], self.tokenizer, sampling, self.context)
        going_on = True

        def is_over(answer: list[int]) -> bool:
            nonlocal going_on
            if is_stopped(answer, self.tokenizer, sampling.stop):
                return True
            text = unfinished_text(answer, self.tokenizer)
            with self.lock.released():
                going_on = on_text(stable_prefix(text, sampling.stop))
            self._activate(wanted)
            return not going_on

        try:
            with self.lock:
                weights = self._activate(wanted)
                masks = self.engine.verse_masks([prompt], sampling.max_new_tokens)
                limit = sampling.max_new_tokens
                verse = VerseRows(masks, limit, watch=True) if masks else None
                ((_, answer),) = decode(
                    weights, [tokens], [prompt.seed], sampling, self.ends, is_over, verse=verse
                )
        except Exception as error:
            if not should_reduce_batch_size(error):
                raise
            raise UserError("out of memory; lower generate.sampling.max_new_tokens") from None
        ended = answer[-1] in self.ends
        whole = completion(prompt, answer, ended, self.tokenizer, sampling.stop)
        if not going_on:
            whole = Completion(prompt.id, stable_prefix(whole.text, []), STOPPED, len(answer))
        if not verse:
            return whole
        forced = self._places(answer, verse.forced[0])
        return Written(**vars(whole), forced=forced)

    def _places(self, answer: list[int], forced: list[bool]) -> frozenset[int]:
        """The places of the characters that forced tokens have added to a poem."""
        lengths = [len(unfinished_text(answer[:n], self.tokenizer)) for n in range(len(answer) + 1)]
        pieces = zip(forced, lengths, lengths[1:], strict=False)
        return frozenset(at for was, start, end in pieces if was for at in range(start, end))

    def _activate(self, model: Model) -> "PreTrainedModel":
        """The weights with that model's adapter on, or none. The caller holds the lock."""
        if self.active != model:
            # An error during the switch leaves neither model active.
            self.active = None
            self.engine.activate(model)
            self.active = model
        weights = self.engine.model
        if weights is None:
            raise RuntimeError("no model is loaded")
        return weights


def silence_libraries() -> None:
    """Keep the libraries' messages about loading out of the text on the terminal.

    transformers 5 warns, for each further adapter, that the adapters before are not in its file.
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
    """The tasks that have an adapter."""
    return [task for task in tasks if has_files(ADAPTERS / task, ADAPTER_FILES)]


def has_files(folder: Path, patterns: Sequence[str]) -> bool:
    """Whether a folder has a file for each pattern."""
    return all(any(folder.glob(pattern)) for pattern in patterns)
