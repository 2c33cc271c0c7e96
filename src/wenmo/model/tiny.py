"""The embedded base model: a real Qwen2, tiny enough to pre-train on a laptop CPU in a minute.

It exists so that the whole pipeline runs anywhere without a download. Every later stage treats it
exactly as it treats Qwen2.5-7B: a folder with config, safetensors weights and a tokenizer.
"""

import json
import random
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wenmo.config.base_model import Architecture, TinyParams
from wenmo.core.errors import UserError
from wenmo.core.language import gettext
from wenmo.model.chat import CHATML_TEMPLATE, answer_messages, prompt_messages, render
from wenmo.model.loading import choose_deterministic_algorithms

if TYPE_CHECKING:
    import torch
    from transformers import Qwen2ForCausalLM, Qwen2Tokenizer

END_OF_TEXT, TURN_START, TURN_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"


def build(text_folder: Path, output: Path, params: TinyParams, seed: int) -> dict[str, float]:
    """Train tokenizer and model on `text_folder`'s prose.txt and verse.txt; save into `output`.

    Returns the parameter count and the last pre-training loss (nats per token). Raises UserError
    if a text file is missing or empty or will not do; `output` is then as it was.
    """
    prose, verse = read_pieces(text_folder / "prose.txt"), read_pieces(text_folder / "verse.txt")
    choose_deterministic_algorithms()
    tokenizer = train_tokenizer(prose + verse, params.vocabulary, params.max_position_embeddings)
    documents = pretraining_documents(tokenizer, prose, verse, params, seed)
    model = new_model(tokenizer, params, seed)
    blocks = pack(tokenizer, documents, params.block_length)
    loss = pretrain(model, blocks, params, seed)
    if output.exists():
        shutil.rmtree(output)
    model.save_pretrained(output)
    tokenizer.save_pretrained(output)
    return {"parameters": model.num_parameters(), "loss": round(loss, 4)}


def read_pieces(path: Path) -> list[str]:
    """The pieces of a text file, separated by blank lines."""
    if not path.is_file():
        raise UserError("{path}: no such file; the tiny base model is trained on it", path=path)
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise UserError(
            "{path}:{line}: not UTF-8: {reason}", path=path, line=line, reason=gettext(error.reason)
        ) from None
    pieces = [piece.strip() for piece in text.split("\n\n")]
    pieces = [piece for piece in pieces if piece]
    if not pieces:
        raise UserError("{path}: empty; the tiny base model is trained on it", path=path)
    return pieces


def train_tokenizer(pieces: list[str], vocabulary: int, max_length: int) -> "Qwen2Tokenizer":
    """A byte-level BPE for Qwen2 in which each frequent character of the text is one token.

    Merges are learnt within single characters, so that no token holds parts of two; a character
    that is not among the tokens is spelt in bytes, so any text can be encoded.
    """
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers
    from transformers import Qwen2Tokenizer

    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"[\s\S]"), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        special_tokens=[END_OF_TEXT, TURN_START, TURN_END],
        show_progress=False,
    )
    learner.train_from_iterator(pieces, trainer)
    bpe = json.loads(learner.to_str())["model"]
    return Qwen2Tokenizer(
        vocab=bpe["vocab"],
        merges=[tuple(pair) for pair in bpe["merges"]],
        unk_token=None,
        eos_token=TURN_END,
        pad_token=END_OF_TEXT,
        extra_special_tokens=[TURN_START],
        padding_side="left",
        model_max_length=max_length,
        chat_template=CHATML_TEMPLATE,
    )


def pretraining_documents(
    tokenizer: Any, prose: list[str], verse: list[str], params: TinyParams, seed: int
) -> list[str]:
    """The pre-training texts: prose, verse, and `verse_poems` more poems recombined from the verse.

    A share of the prose is worded as a conversation, so that the model knows its chat format and
    how an answer ends, as published chat models do.
    """
    draw = random.Random(seed)
    told = [
        as_conversation(tokenizer, p) if draw.random() < params.chat_share else p for p in prose
    ]
    poems = recombined_poems(verse, params.verse_poems, draw)
    documents = [text + END_OF_TEXT for text in told + verse + poems]
    draw.shuffle(documents)
    return documents


def as_conversation(tokenizer: Any, piece: str) -> str:
    """A piece of prose as the answer to a request to go on from its first sentence."""
    request, rest = continuation(piece)
    return written_as_answer(tokenizer, request, rest) if rest else piece


def continuation(piece: str) -> tuple[str, str]:
    """The request to go on from a piece's first sentence, and the rest; "" if nothing is left."""
    opening, stop, rest = piece.partition("。")
    return f"接着写：{opening}{stop}", rest


def written_as_answer(tokenizer: Any, request: str, answer: str) -> str:
    """The chat format's text of a request and its answer."""
    return render(tokenizer, prompt_messages("你是一位作者。", request) + answer_messages(answer))


def recombined_poems(verse: list[str], count: int, draw: random.Random) -> list[str]:
    """New poems from the verse's lines, each of one poem's form.

    A small model learns form only from many poems. Each line is drawn from all lines of its length
    and place in the couplet, so that form is everywhere and sense is not.
    """
    poems = [re.findall(r"[^，。\n]+[，。]", poem) for poem in verse]
    pools: dict[tuple[int, int], list[str]] = {}
    for lines in poems:
        for position, line in enumerate(lines):
            pools.setdefault((len(line), position % 2), []).append(line)
    new = []
    for _ in range(count):
        form = draw.choice(poems)
        lines = [draw.choice(pools[len(line), at % 2]) for at, line in enumerate(form)]
        new.append("\n".join(a + b for a, b in zip(lines[::2], lines[1::2], strict=True)))
    return new


def new_model(tokenizer: "Qwen2Tokenizer", params: Architecture, seed: int) -> "Qwen2ForCausalLM":
    """A Qwen2 with random weights drawn from the seed."""
    import torch
    from transformers import GenerationConfig, Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=params.hidden_size,
        intermediate_size=params.intermediate_size,
        num_hidden_layers=params.layers,
        num_attention_heads=params.heads,
        num_key_value_heads=params.heads,
        max_position_embeddings=params.max_position_embeddings,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = Qwen2ForCausalLM(config)
    model.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    return model


def pack(tokenizer: Any, documents: list[str], length: int) -> "torch.Tensor":
    """Documents end to end, cut into token ids of shape (blocks, length)."""
    import torch

    ids = [token for document in documents for token in tokenizer(document)["input_ids"]]
    blocks = len(ids) // length
    if blocks == 0:
        raise UserError(
            "the general text has {count} tokens, less than one block of {length}; give"
            " base_model.path more text or lower base_model.tiny.block_length",
            count=len(ids),
            length=length,
        )
    return torch.tensor(ids[: blocks * length]).view(blocks, length)


def pretrain(
    model: "Qwen2ForCausalLM", blocks: "torch.Tensor", params: TinyParams, seed: int
) -> float:
    """Next-token training with AdamW, linear warm-up over a tenth and cosine decay."""
    import torch
    from tqdm import trange
    from transformers import get_cosine_schedule_with_warmup

    optimizer = torch.optim.AdamW(model.parameters(), lr=params.learning_rate, weight_decay=0.1)
    schedule = get_cosine_schedule_with_warmup(optimizer, params.steps // 10, params.steps)
    generator = torch.Generator().manual_seed(seed)
    model.train()
    with trange(params.steps, desc="pre-training the tiny base model", unit="step") as progress:
        for _ in progress:
            chosen = torch.randint(len(blocks), (params.batch_size,), generator=generator)
            loss = model(input_ids=blocks[chosen], labels=blocks[chosen]).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            progress.set_postfix(loss=f"{loss.item():.3f}")
    model.eval()
    return float(loss.item())
