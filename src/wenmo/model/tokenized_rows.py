"""Rows as token ids on disk, which are mapped into memory: millions take no more than thousands."""

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

from wenmo.config.chat import ChatParams
from wenmo.core.records import Row
from wenmo.model.chat import Conversation, conversations_of
from wenmo.model.lengths import Lengths
from wenmo.model.turns import every_answer, joined

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

BATCH = 100
"""Rows that the tokenizer reads at a time: a call takes as long as a short row's tokens."""

TOGETHER = 2**20
"""Tokens that are held until they are written as one piece of the file (a record batch of Arrow).
Opening the file reads the metadata of each piece, and the pages around it."""

IGNORED = -100
"""The label of a token without a loss, as torch's cross entropy and TRL have it."""


def conversations(
    rows: Iterable[Row],
    tokenizer: "PreTrainedTokenizerBase",
    chat: ChatParams,
    mask_history: bool = True,
) -> Iterator[Conversation]:
    """Each row with its system prompt as tokens, by the chat template, up to what closes it.

    Its last answer is learnt from, and without `mask_history` each answer before it, too.
    """
    from tqdm import tqdm

    waiting = iter(tqdm(rows, desc="tokenizing rows", unit="row"))
    for batch in iter(lambda: list(islice(waiting, BATCH)), []):
        learnt = [[row] if mask_history else every_answer(row) for row in batch]
        found = iter(conversations_of(tokenizer, list(chain.from_iterable(learnt)), chat))
        for answers in learnt:
            yield from joined(list(islice(found, len(answers))))


def fitting(found: Iterable[Conversation], lengths: Lengths) -> Iterator[Conversation]:
    """Those of at most `lengths.max_length` tokens. All of them are counted in `lengths`."""
    for each in found:
        lengths.counts[len(each)] += 1
        if len(each) <= lengths.max_length:
            yield each


def labelled(found: Iterable[Conversation], path: Path) -> "Dataset":
    """Conversations as TRL takes them, written to `path`.

    The loss covers the answers and what closes them: `labels` are the ids there and elsewhere
    IGNORED.
    """
    import numpy as np
    from datasets import Dataset, Features, List, Value
    from datasets.arrow_writer import ArrowWriter

    columns = Features(dict.fromkeys(("input_ids", "labels"), List(Value("int32"))))
    waiting = 0
    # The writer counts rows, of which none is without a token, so that tokens decide.
    with ArrowWriter(path=str(path), features=columns, writer_batch_size=TOGETHER) as writer:
        for each in found:
            ids = np.concatenate([each.prompt, each.answer])
            labels = np.full_like(ids, IGNORED)
            for start, end in (*each.learnt, (len(each.prompt), len(each))):
                labels[start:end] = ids[start:end]
            writer.write({"input_ids": ids, "labels": labels})
            waiting += len(each)
            if waiting >= TOGETHER:
                writer.write_examples_on_file()
                waiting = 0
        writer.finalize()
    return Dataset.from_file(str(path))


def tokenized(
    rows: Iterable[Row],
    tokenizer: "PreTrainedTokenizerBase",
    chat: ChatParams,
    max_length: int,
    mask_history: bool,
    path: Path,
) -> tuple["Dataset", Lengths]:
    """The labelled rows of at most `max_length` tokens, which `path` holds; the lengths of all."""
    lengths = Lengths(Counter(), max_length)
    found = conversations(rows, tokenizer, chat, mask_history)
    return labelled(fitting(found, lengths), path), lengths
