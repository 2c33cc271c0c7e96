"""Grow the base: a Qwen2 reads the corpus once, or as often as `pretrain.tokens` asks for.

PYTHONPATH=../src python pretrain.py

A GPU is used where there is one, all cores otherwise, and bfloat16 where the device computes in it.
What is interrupted goes on from checkpoints/, unless parameters, code or corpus have changed.
"""

import hashlib
import json
import random
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from tqdm import tqdm

from documents import FORMS, Document, learnt_lines, read
from one_line import told_in_one_line
from optimizer import optimizers
from readings_prior import add_readings
from sampling import scores, write_poems
from wenmo.config.base_model import Architecture
from wenmo.config.params_file import Count, Fraction, PositiveFloat, PositiveInt
from wenmo.core.errors import UserError
from wenmo.core.records import write_csv
from wenmo.model.loading import resolved
from wenmo.model.tiny import END_OF_TEXT, new_model, train_tokenizer, written_as_answer

CORPUS, MODEL, CURVE, CHECKPOINTS = map(Path, ("corpus", "model", "curve.csv", "checkpoints"))
CODE = [
    Path(f"{name}.py")
    for name in ("documents", "optimizer", "pretrain", "readings_prior", "sampling")
]
VERSE_END = "。"


class PretrainParams(Architecture):
    """Section `pretrain`."""

    seed: int
    block_length: PositiveInt
    batch_size: PositiveInt
    tokens: PositiveInt
    learning_rate: PositiveFloat
    warmup_share: Fraction
    decay_share: Fraction
    rhyme_weight: PositiveFloat
    copy_weight: PositiveFloat
    repeat_weight: float
    readings_scale: float
    eval_every: PositiveInt
    poems: Count


@dataclass
class Tokens:
    """Token ids, the weights of their losses, and the document whose rhyme words they are, or -1.

    All are of shape (tokens,).
    """

    ids: np.ndarray
    weights: np.ndarray
    rhymes: np.ndarray


@dataclass
class Growth:
    """What a checkpoint holds beside weights and optimizers."""

    step: int = 0
    seconds: float = 0.0
    curve: list[dict[str, float]] = field(default_factory=list)


def main(params: PretrainParams) -> None:
    """Write the model, and the curve of its growth."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    documents = list(read(CORPUS / "train.jsonl"))
    held_out = list(read(CORPUS / "heldout.jsonl"))
    texts = [each.opening + each.text for each in documents]
    tokenizer = train_tokenizer(texts, params.vocabulary, params.max_position_embeddings)
    model = new_model(tokenizer, params, params.seed)
    characters = _single_characters(tokenizer)
    with torch.no_grad():
        embeddings = model.get_input_embeddings().weight
        add_readings(embeddings, characters, params.readings_scale, params.seed)
    model.to(device)
    tokens = encode(tokenizer, documents, params.rhyme_weight, params.copy_weight)
    measured = {
        kind: encode(tokenizer, [each for each in held_out if each.kind == kind])
        for kind in sorted({each.kind for each in held_out})
    }
    state = CHECKPOINTS / f"{_fingerprint(params)}.pt"
    learnt = learnt_lines(documents)

    def measure(growth: Growth, read_tokens: int) -> None:
        row: dict[str, float] = {"tokens": read_tokens}
        row |= {f"loss {kind}": held_out_loss(model, some) for kind, some in measured.items()}
        if params.poems:
            row |= scores(write_poems(model, tokenizer, params.poems, params.seed), learnt)
        growth.curve.append(row)
        tqdm.write(f"{growth.seconds / 60:.1f} min: {row}", file=sys.stderr)

    grow(model, tokens, params, state, measure, device)
    shutil.rmtree(MODEL, ignore_errors=True)
    model.to("cpu", torch.bfloat16).eval().save_pretrained(MODEL)
    tokenizer.save_pretrained(MODEL)
    state.unlink(missing_ok=True)


def encode(
    tokenizer: Any, documents: list[Document], rhyme_weight: float = 1.0, copy_weight: float = 1.0
) -> Tokens:
    """The documents end to end, each token with the weight of its character."""
    ids: list[np.ndarray] = []
    weights: list[np.ndarray] = []
    rhymes: list[np.ndarray] = []
    for at in range(0, len(documents), 1000):
        batch = documents[at : at + 1000]
        texts = [as_text(tokenizer, each) for each in batch]
        encoded = tokenizer(texts, return_offsets_mapping=True)
        for document, text, of_text, places in zip(
            batch, texts, encoded["input_ids"], encoded["offset_mapping"], strict=True
        ):
            ids.append(np.array(of_text, dtype=np.int32))
            starts = [start for start, _ in places]
            rhyming = rhyme_words(document, text)
            by_character = character_weights(document, text, rhyme_weight, copy_weight)
            weights.append(by_character[starts])
            rhymes.append(np.where(rhyming[starts], len(rhymes), -1).astype(np.int32))
    return Tokens(*map(np.concatenate, (ids, weights, rhymes)))


def character_weights(
    document: Document, text: str, rhyme_weight: float, copy_weight: float
) -> np.ndarray:
    """The weights of the loss, of shape (characters of the text,).

    What is copied stands in the text twice.
    """
    weights = np.ones(len(text), dtype=np.float32)
    if document.copied:
        start = text.index(document.copied, text.index(document.copied) + 1)
        weights[start : start + len(document.copied)] = copy_weight
    weights[rhyme_words(document, text)] = rhyme_weight
    return weights


def rhyme_words(document: Document, text: str) -> np.ndarray:
    """Whether each character of the text is a rhyme word: one before the 。 of a poem."""
    is_poem = document.kind in FORMS.values()
    return np.array([is_poem and after == VERSE_END for after in text[1:] + " "])


def as_text(tokenizer: Any, document: Document) -> str:
    """The document as the model reads it: its kind, title and text, or a conversation."""
    if document.opening:
        return written_as_answer(tokenizer, document.opening, document.text) + END_OF_TEXT
    title = f"：{document.title}" if document.title else ""
    return f"{document.kind}{title}\n{document.text}{END_OF_TEXT}"


def grow(
    model: Any,
    tokens: Tokens,
    params: PretrainParams,
    state: Path,
    measure: Any,
    device: str,
) -> None:
    """Next-token training; the loss is weighted, and `measure` is called at intervals."""
    per_step = params.batch_size * params.block_length
    steps = max(1, params.tokens // per_step)
    every = max(1, params.eval_every // per_step)
    both = optimizers(model, params.learning_rate)
    growth = _resume(state, model, both)
    bf16 = resolved("auto") == "bf16"
    batches = blocks(tokens, params, start=growth.step)
    started = time.monotonic() - growth.seconds
    model.train()
    with tqdm(total=steps * per_step, initial=growth.step * per_step, unit="token",
              unit_scale=True, desc="pre-training") as progress:  # fmt: skip
        for step in range(growth.step, steps):
            ids, weights, rhymes = (each.to(device) for each in next(batches))
            rate = params.learning_rate * schedule(step / steps, params)
            for optimizer in both:
                for group in optimizer.param_groups:
                    group["lr"] = rate
            with torch.autocast(device, torch.bfloat16, enabled=bf16):
                logits = model(input_ids=ids[:, :-1]).logits
            losses = cross_entropy(
                logits.flatten(0, 1).float(), ids[:, 1:].flatten(), reduction="none"
            )
            weight = weights[:, 1:].flatten()
            repeats = repetition_loss(logits.float(), ids, rhymes)
            loss = ((losses * weight).sum() + params.repeat_weight * repeats) / weight.sum()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for optimizer in both:
                optimizer.step()
                optimizer.zero_grad()
            growth.step = step + 1
            progress.update(per_step)
            progress.set_postfix(loss=f"{loss.item():.3f}")
            if growth.step % every == 0 or growth.step == steps:
                growth.seconds = time.monotonic() - started
                measure(growth, growth.step * per_step)
                _save(state, model, both, growth)
    write_csv(CURVE, growth.curve)


def repetition_loss(logits: torch.Tensor, ids: torch.Tensor, rhymes: torch.Tensor) -> torch.Tensor:
    """The unlikelihood of a poem's earlier rhyme words at its later ones, summed.

    `logits` has the shape (batch, length, vocabulary), `ids` and `rhymes` (batch, length + 1). A
    poem that rhymes a word with itself has a fault. Source: Welleck et al., Neural Text Generation
    with Unlikelihood Training, 2020, formula 4.
    """
    row, at = (rhymes[:, 1:] >= 0).nonzero(as_tuple=True)
    word, poem = ids[row, at + 1], rhymes[row, at + 1]
    earlier = (row[:, None] == row) & (poem[:, None] == poem) & (at[:, None] > at)
    later, before = (earlier & (word[:, None] != word)).nonzero(as_tuple=True)
    probability = logits[row, at].softmax(dim=-1)[later, word[before]]
    return -torch.log1p(-probability.clamp(max=1 - 1e-5)).sum()


def schedule(progress: float, params: PretrainParams) -> float:
    """The learning rate at this share of the steps, as a share of its peak."""
    rising = (progress + 1e-3) / params.warmup_share if params.warmup_share else 1.0
    falling = (1 - progress) / params.decay_share if params.decay_share else 1.0
    return min(1.0, rising, falling)


def blocks(
    tokens: Tokens, params: PretrainParams, start: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Batches of `tokens`' arrays, each (batch size, block length + 1), from step `start` on.

    The corpus is read in its order, which is random; every further reading cuts it elsewhere.
    """
    step = 0
    length = params.block_length
    while True:
        offset = random.Random(f"{params.seed} {step}").randrange(length)
        count = (len(tokens.ids) - 1 - offset) // length
        if count < params.batch_size:
            raise UserError(
                f"{CORPUS}: its {len(tokens.ids)} tokens are less than a batch of"
                f" {params.batch_size} sequences; lower pretrain.batch_size"
            )
        for first in range(0, count - params.batch_size + 1, params.batch_size):
            if step >= start:
                at = offset + length * (first + np.arange(params.batch_size))[:, None]
                places = at + np.arange(length + 1)
                yield (
                    torch.from_numpy(tokens.ids[places].astype(np.int64)),
                    torch.from_numpy(tokens.weights[places]),
                    torch.from_numpy(tokens.rhymes[places]),
                )
            step += 1


@torch.inference_mode()
def held_out_loss(model: Any, tokens: Tokens, length: int = 256) -> float:
    """The loss in nats per token over a kind's held-out documents, end to end."""
    model.eval()
    ids = torch.from_numpy(tokens.ids.astype(np.int64)).to(model.device)
    total = count = 0.0
    for part in ids.split(length):
        if len(part) > 1:
            logits = model(input_ids=part[None, :-1]).logits[0].float()
            total += cross_entropy(logits, part[1:], reduction="sum").item()
            count += len(part) - 1
    model.train()
    return round(total / max(1, count), 4)


def _single_characters(tokenizer: Any) -> dict[int, str]:
    """The tokens that are one character from U+4E00 on, by their ids."""
    texts = enumerate(tokenizer.batch_decode([[at] for at in range(len(tokenizer))]))
    return {at: text for at, text in texts if len(text) == 1 and "\u4e00" <= text != "\ufffd"}


def _fingerprint(params: PretrainParams) -> str:
    """A digest of parameters, code and corpus: whether a checkpoint is of this growth."""
    digest = hashlib.sha256(json.dumps(params.model_dump(), sort_keys=True).encode())
    for path in [*CODE, CORPUS / "train.jsonl"]:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _resume(state: Path, model: Any, both: list[torch.optim.Optimizer]) -> Growth:
    if not state.is_file():
        return Growth()
    content = torch.load(state, weights_only=True)
    model.load_state_dict(content["model"])
    for optimizer, saved in zip(both, content["optimizers"], strict=True):
        optimizer.load_state_dict(saved)
    print(f"going on from step {content['step']}", file=sys.stderr)
    return Growth(content["step"], content["seconds"], content["curve"])


def _save(state: Path, model: Any, both: list[torch.optim.Optimizer], growth: Growth) -> None:
    CHECKPOINTS.mkdir(exist_ok=True)
    unfinished = state.with_suffix(".unfinished")
    torch.save(
        {
            "model": model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in both],
            "step": growth.step,
            "seconds": growth.seconds,
            "curve": growth.curve,
        },
        unfinished,
    )
    unfinished.replace(state)


if __name__ == "__main__":
    with told_in_one_line("pretrain", "run it again to go on from the last checkpoint"):
        main(PretrainParams.load("pretrain"))
