"""The default engine: transformers, in left-padded batches sorted by length, a thread per core."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, Self

import psutil
import torch
from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size
from tqdm import tqdm

from wenmo.config.generate import GenerateParams, Sampling
from wenmo.core.errors import UserError
from wenmo.core.language import gettext
from wenmo.engines.decoding import decode, padded_length, row_multiple
from wenmo.engines.engine import (
    Completion,
    Model,
    OnTokens,
    Prompt,
    completion,
    ignore,
    prompt_tokens,
    refuse_without,
)
from wenmo.engines.threads import run_in_threads, thread_count
from wenmo.engines.verse_masks import MaskStore, VerseMasks
from wenmo.engines.verse_rows import VerseRows, masks_of, open_store
from wenmo.model.loading import (
    context_length,
    end_tokens,
    load_model,
    load_tokenizer,
    refusing_misfits,
)

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

SHARE_OF_MEMORY = 0.5
"""Share of the free memory for keys, values and scores; activations and copies need the rest."""


class TransformersEngine:
    """One model in memory at a time; adapters share the base that is in memory."""

    def __init__(self, params: GenerateParams) -> None:
        self.params = params
        self.cost: dict[str, Any] = {}
        self.model: PreTrainedModel | None = None
        self.folder: Path | None = None
        self.adapters: list[Path] = []
        self.store: MaskStore | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.model = self.folder = None

    def generate(
        self,
        model: Model,
        prompts: Sequence[Prompt],
        sampling: Sampling,
        on_tokens: OnTokens = ignore,
    ) -> Iterator[Completion]:
        """One completion per prompt, short prompts first, as many at a time as fit into memory."""
        weights = self.activate(model)
        tokenizer = load_tokenizer(model.folder)
        tokens = prompt_tokens(prompts, tokenizer, sampling, context_length(model.folder))
        ends = end_tokens(model.folder)
        verse = self.verse_masks(prompts, sampling.max_new_tokens)
        order = sorted(range(len(prompts)), key=lambda index: (len(tokens[index]), index))
        threads = thread_count(weights.device, self.params.transformers.threads)
        threads = min(threads, -(-len(prompts) // row_multiple(weights.device)))
        halted, limit = Event(), sampling.max_new_tokens

        def stopped(answer: list[int]) -> bool:
            return halted.is_set() or is_stopped(answer, tokenizer, sampling.stop)

        def completions(waiting: list[int]) -> Iterator[Completion]:
            size = self.params.transformers.batch_size
            while waiting:
                length = padded_length(len(tokens[waiting[0]]))
                size = min(size, rows_that_fit(weights, length + sampling.max_new_tokens, threads))
                self.cost["batch_size"] = size
                batch = [i for i in waiting[:size] if padded_length(len(tokens[i])) == length]
                fits = True
                try:
                    for at, answer in decode(
                        weights,
                        [tokens[index] for index in batch],
                        [prompts[index].seed for index in batch],
                        sampling,
                        ends,
                        stopped,
                        on_tokens,
                        VerseRows([verse[index] for index in batch], limit) if verse else None,
                    ):
                        waiting.remove(batch[at])
                        prompt, ended = prompts[batch[at]], answer[-1] in ends
                        yield completion(prompt, answer, ended, tokenizer, sampling.stop)
                except Exception as error:
                    if not should_reduce_batch_size(error):
                        raise
                    fits, size = False, halved(len(batch), row_multiple(weights.device))
                # After the handler, since the traceback keeps the tensors of the batch alive. Only
                # then, since a collection takes half a second with all libraries imported.
                clear_device_cache(garbage_collection=not fits)

        # Every thread gets short and long prompts.
        yield from run_in_threads(
            [completions(order[at::threads]) for at in range(threads)], halted
        )

    def verse_masks(
        self, prompts: Sequence[Prompt], max_new_tokens: int
    ) -> list[VerseMasks | None]:
        """The masks of the prompts that ask for verse by rule; empty if none does.

        Raises UserError for the first poem that is impossible with the active model's tokenizer.
        """
        if not any(prompt.verse for prompt in prompts):
            return []
        if self.model is None or self.folder is None:
            raise RuntimeError("no model is loaded")
        if self.store is None:
            size = self.model.config.get_text_config().vocab_size
            self.store = open_store(load_tokenizer(self.folder), size, end_tokens(self.folder))
        return masks_of(prompts, self.store, max_new_tokens)

    def activate(self, model: Model) -> "PreTrainedModel":
        """The model's weights, read unless they are in memory, with its adapter on or none."""
        if self.model is None or self.folder != model.folder:
            self.model, self.adapters, self.store = None, [], None
            self.model = load_model(model.folder, self.params.precision).eval()
            self.folder = model.folder
        if model.adapter is None:
            if self.adapters:
                self.model.disable_adapters()
            return self.model
        if model.adapter not in self.adapters:
            name = f"adapter_{len(self.adapters)}"
            with refusing_misfits(model.adapter):
                self.model.load_adapter(str(model.adapter), adapter_name=name)
            self.adapters.append(model.adapter)
        self.model.enable_adapters()
        self.model.set_adapter(f"adapter_{self.adapters.index(model.adapter)}")
        return self.model


def is_stopped(tokens: list[int], tokenizer: "PreTrainedTokenizerBase", stop: list[str]) -> bool:
    """Whether an answer's last tokens contain one of the strings. A token is at least a byte."""
    if not stop:
        return False
    tail = tokenizer.decode(tokens[-max(len(each.encode()) for each in stop) :])
    return any(each in tail for each in stop)


def halved(size: int, least: int) -> int:
    """The batch size to try after `size` was too large for the memory.

    Raises UserError if `size` is the smallest possible.
    """
    if size <= least:
        raise UserError(
            "out of memory with the smallest batch ({least}); lower"
            " generate.sampling.max_new_tokens or generate.precision",
            least=least,
        )
    smaller = max(least, size // 2)
    told = gettext(
        "out of memory with {size} prompts; going on with {smaller}", size=size, smaller=smaller
    )
    tqdm.write(told, file=sys.stderr)
    return smaller


def rows_that_fit(model: "PreTrainedModel", tokens: int, threads: int = 1) -> int:
    """The number of rows of `tokens` tokens that fit into a thread's share of the free memory.

    A row needs the keys and values of all layers and about 5 copies of its scores in double
    precision. The result is at least the smallest batch.
    """
    config = model.config.get_text_config()
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    heads = getattr(config, "num_key_value_heads", config.num_attention_heads)
    keys_and_values = 2 * config.num_hidden_layers * heads * width * model.dtype.itemsize * tokens
    scores = 5 * 8 * config.vocab_size
    if model.device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(model.device)
    else:
        free = psutil.virtual_memory().available
    multiple = row_multiple(model.device)
    blocks = SHARE_OF_MEMORY * free / threads / (keys_and_values + scores) / multiple
    return max(1, int(blocks)) * multiple


def load(params: GenerateParams, models: Sequence[Model]) -> TransformersEngine:
    """The engine, without a model in memory. Raises UserError if a model is missing."""
    refuse_without(models)
    return TransformersEngine(params)
