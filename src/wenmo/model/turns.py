"""Rows of several turns: which answers training learns from."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from wenmo.core.records import Row
from wenmo.model.chat import Conversation


def every_answer(row: Row) -> list[Row]:
    """A row per answer, the first one first, each with the turns before it as its history."""
    earlier = (
        replace(row, instruction="", input=prompt, output=answer, history=row.history[:at])
        for at, (prompt, answer) in enumerate(row.history)
    )
    return [*earlier, row]


def joined(answers: Sequence[Conversation]) -> Iterator[Conversation]:
    """The conversations up to each answer of a row, in as few as the chat template permits.

    A conversation that begins with the very tokens of the one before is read once, and both answers
    are learnt from: the loss is then the same as that of both, since a model sees only what comes
    before. Some templates, such as Qwen3's, word an answer differently once another one follows, so
    that each answer needs a conversation of its own.
    """
    import numpy as np

    last = answers[0]
    for each in answers[1:]:
        before = len(last)
        whole = np.concatenate([last.prompt, last.answer])
        if np.array_equal(each.prompt[:before], whole):
            last = replace(each, learnt=(*last.learnt, (len(last.prompt), before)))
        else:
            yield last
            last = each
    yield last
