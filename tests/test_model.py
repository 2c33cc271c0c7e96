"""The tiny base model: the same every time, and built like a Qwen2."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import ROOT, digests
from wenmo.config.base_model import TinyParams
from wenmo.core.errors import UserError
from wenmo.model.chat import chat_text, prompt_messages
from wenmo.model.loading import choose_deterministic_algorithms, load_tokenizer
from wenmo.model.tiny import build, read_pieces, recombined_poems


def test_the_tiny_model_is_the_same_every_time(
    tiny_model: Path, tiny_params: TinyParams, tmp_path: Path
) -> None:
    # Whatever models the process has loaded before.
    choose_deterministic_algorithms()
    build(ROOT / "data/sample/general", tmp_path, tiny_params, seed=1)
    assert digests(tmp_path) == digests(tiny_model)
    build(ROOT / "data/sample/general", tmp_path, tiny_params, seed=2)
    assert digests(tmp_path)["model.safetensors"] != digests(tiny_model)["model.safetensors"]


def test_its_files_are_those_of_a_qwen2_without_pickle(tiny_model: Path) -> None:
    assert json.loads((tiny_model / "config.json").read_text())["model_type"] == "qwen2"
    assert sorted(digests(tiny_model)) == [
        "chat_template.jinja",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ]


@settings(max_examples=50)
@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_its_tokenizer_can_spell_any_text(tiny_model: Path, text: str) -> None:
    import unicodedata

    tokenizer = load_tokenizer(tiny_model)
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(ids) == unicodedata.normalize("NFC", text)


def test_a_character_of_its_text_is_one_token(tiny_model: Path) -> None:
    tokenizer = load_tokenizer(tiny_model)
    poem = read_pieces(ROOT / "data/sample/general/verse.txt")[0]
    assert len(tokenizer(poem)["input_ids"]) == len(poem)


def test_the_chat_format_is_chatml(tiny_model: Path) -> None:
    tokenizer = load_tokenizer(tiny_model)
    assert chat_text(tokenizer, prompt_messages("系统", "你好")) == (
        "<|im_start|>system\n系统<|im_end|>\n<|im_start|>user\n你好<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    assert tokenizer.eos_token == "<|im_end|>"
    assert tokenizer.pad_token != tokenizer.eos_token


def test_recombined_poems_keep_a_form_and_are_new() -> None:
    import random

    verse = read_pieces(ROOT / "data/sample/general/verse.txt")
    forms = {tuple(map(len, poem.split("\n"))) for poem in verse}
    new = recombined_poems(verse, 100, random.Random(1))
    assert {tuple(map(len, poem.split("\n"))) for poem in new} <= forms
    assert len(set(new) - set(verse)) > 90


def test_a_missing_general_text_is_named(tmp_path: Path, tiny_params: TinyParams) -> None:
    with pytest.raises(UserError, match=r"prose\.txt: no such file"):
        build(tmp_path, tmp_path / "base", tiny_params, seed=1)
