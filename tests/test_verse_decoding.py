"""Decoding by rule: masks of tokens agree with the characters, and every poem passes the judge."""

import random
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from tests.test_verse_state import COMMON, FIRST_LINES, SAMPLE, check
from wenmo.engines.token_bytes import token_bytes
from wenmo.engines.verse_masks import MaskStore, Position, VerseMasks
from wenmo.engines.verse_vocabulary import VerseVocabulary
from wenmo.text.asked_verse import Verse
from wenmo.text.patterns import couplets, pattern_lines, tunes

FORMS = [couplets(*each) for each in ((4, 5), (4, 7), (8, 5), (8, 7))]
BUDGET = 480


def byte_level(size: int) -> Tokenizer:
    """As Qwen's: bytes, and by training pieces, characters and words of several characters."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=size, initial_alphabet=alphabet, special_tokens=["<end>"], show_progress=False
    )
    tokenizer.train_from_iterator([SAMPLE, *SAMPLE.split("，"), "，\n", "。\n"], trainer)
    return tokenizer


def byte_fallback() -> Tokenizer:
    """As Llama's: characters and words, and bytes for what it lacks."""
    words = [*COMMON[::3], "山水", "一片", "春风，", "人。\n", "东风吹", "。\n"]
    tokens = ["<end>", *(f"<0x{byte:02X}>" for byte in range(256)), *words, *"，。；？！", "▁山"]
    vocabulary = {token: index for index, token in enumerate(dict.fromkeys(tokens))}
    tokenizer = Tokenizer(models.BPE(vocabulary, [], byte_fallback=True))
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    return tokenizer


def characters_alone() -> Tokenizer:
    """As BERT's: characters and words, without bytes."""
    words = ["<end>", *COMMON, *"，。；？！\n", "山水", "风，", "。\n", "hello"]
    vocabulary = {token: index for index, token in enumerate(dict.fromkeys(words))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<end>"))
    tokenizer.decoder = decoders.Fuse()
    return tokenizer


KINDS: dict[str, Callable[[], Tokenizer]] = {
    "bytes alone": lambda: byte_level(300),
    "pieces and words": lambda: byte_level(3000),
    "byte fallback": byte_fallback,
    "characters": characters_alone,
}


@cache
def vocabulary(kind: str) -> tuple[PreTrainedTokenizerFast, MaskStore]:
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=KINDS[kind](), eos_token="<end>")
    # A model's scores may have more columns than its tokenizer has tokens.
    tokens = token_bytes(tokenizer, len(tokenizer) + 7)
    return tokenizer, MaskStore(VerseVocabulary(tokens, frozenset([tokenizer.eos_token_id])))


def one_by_one(masks: VerseMasks, position: Position) -> np.ndarray:
    """The mask by its definition: each token's characters are tried."""
    mask = np.zeros(len(masks.words.tokens), dtype=bool)
    for token, indices in masks.words.by_bytes.items():
        mask[indices] = masks._after(position, token) is not None
    return mask


VERSES = st.builds(
    lambda rule, pattern, first, lenient: Verse(
        rule,
        pattern,
        first if len(first) == pattern_lines(pattern)[0].length else "",
        lenient=lenient,
    ),
    st.sampled_from(["form", "rhyme", "full"]),
    st.sampled_from([*FORMS * 6, couplets(2, 6), *tunes().values()]),
    st.sampled_from([*FIRST_LINES[::9], "担耳𫘞鬃项", "𠀀耳𫘞鬃项"]),
    st.booleans(),
)


@pytest.mark.parametrize("kind", KINDS)
@examples(max_examples=25, deadline=None)
@given(verse=VERSES, seed=st.integers(0, 10**6), tight=st.booleans())
def test_every_allowed_prefix_is_finished_in_time_and_passes_the_judge(
    kind: str, verse: Verse, seed: int, tight: bool
) -> None:
    tokenizer, store = vocabulary(kind)
    masks, choose = VerseMasks(verse, store), random.Random(seed)
    if masks.fault(BUDGET):
        return
    budget = masks.tokens_left(masks.start) + 1 if tight else BUDGET
    position, written = masks.start, list[int]()
    while tokenizer.eos_token_id not in written:
        allowed = np.flatnonzero(masks.allowed(position, budget - len(written)))
        assert len(allowed), f"a dead end after {tokenizer.decode(written)!r}"
        # A writer who likes what is hard to go on with: pieces, long words, and repetitions.
        texts = [masks.words.tokens[token] for token in allowed]
        seen = {each.encode() for each in position.state.seen}
        odd = [
            token
            for token, text in zip(allowed, texts, strict=True)
            if len(text) != 3 or text in seen
        ]
        written.append(int(choose.choice(odd if odd and choose.random() < 0.5 else allowed)))
        position = masks.after(position, written[-1])
    assert len(written) <= budget
    check(verse, tokenizer.decode(written, skip_special_tokens=True))


@pytest.mark.parametrize("kind", KINDS)
@examples(max_examples=12, deadline=None)
@given(verse=VERSES, seed=st.integers(0, 10**6))
def test_a_mask_has_each_token_whose_characters_are_allowed(
    kind: str, verse: Verse, seed: int
) -> None:
    _, store = vocabulary(kind)
    masks, choose = VerseMasks(verse, store), random.Random(seed)
    if masks.fault(BUDGET):
        return
    position = masks.start
    for step in range(choose.randrange(1, 60)):
        if masks.machine.is_finished(position.state):
            return
        mask = masks.allowed(position, 10 * BUDGET)
        if step % 9 == seed % 9:
            expected = one_by_one(masks, position)
            assert (mask <= expected).all()
            # Of repetitions within longer tokens the mask may refuse more.
            if masks.machine.slack(position.state) >= masks.words.longest:
                assert (mask == expected).all()
        position = masks.after(position, int(choose.choice(np.flatnonzero(mask))))
