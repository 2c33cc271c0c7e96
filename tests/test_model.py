"""The tiny base model, training on it and what comes out, in miniature."""

import hashlib
import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from tests.conftest import ROOT, make_row
from wenmo.errors import UserError
from wenmo.model.base import BaseModelParams, provide
from wenmo.model.chat import ChatParams, chat_text, prompt_messages
from wenmo.model.heldout import losses_per_character
from wenmo.model.loading import load_model, load_tokenizer
from wenmo.model.merging import MergeWeightsParams, merge
from wenmo.model.tiny import TinyParams, build, read_pieces, recombined_poems
from wenmo.model.training import LoraParams, TrainParams, rows_within, train

CHAT = ChatParams(system_prompt="你是一位诗人。")
TRAIN = TrainParams(
    max_steps=3,
    num_train_epochs=1.0,
    max_length=128,
    per_device_train_batch_size=2,
    gradient_accumulation_steps=1,
    learning_rate=1e-2,
    lr_scheduler_type="constant",
    warmup_steps=0,
    weight_decay=0.0,
    optim="adamw_torch",
    precision="fp32",
    gradient_checkpointing=False,
    logging_steps=1,
    eval_steps=2,
    lora=LoraParams(r=4, lora_alpha=8.0, lora_dropout=0.0, target_modules=["q_proj", "v_proj"]),
)
ROWS = [make_row(n, f"雪落千山静，风来{c}叶轻。") for n, c in enumerate("一二三四五六")]


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


@pytest.fixture(scope="module")
def trained(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    folder = tmp_path_factory.mktemp("trained")
    ledger = train(
        ROWS[:4], ROWS[4:], tiny_model, folder / "adapter", folder / "curves", TRAIN, CHAT, seed=1
    )
    params = MergeWeightsParams(precision="fp32", max_shard_size="2GB")
    merge(tiny_model, folder / "adapter", folder / "merged", params)
    return folder, ledger


def test_the_tiny_model_is_the_same_every_time(
    tiny_model: Path, tiny_params: TinyParams, tmp_path: Path
) -> None:
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


@settings(max_examples=50, deadline=None)
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


def test_sources_to_come_say_so(tmp_path: Path, tiny_params: TinyParams) -> None:
    params = BaseModelParams(source="huggingface", tiny=tiny_params)
    with pytest.raises(UserError, match=r"base_model\.source: 'huggingface' is not supported yet"):
        provide(tmp_path / "base", tmp_path, params, seed=1)
    assert not (tmp_path / "base").exists()


def test_a_missing_general_text_is_named(tmp_path: Path, tiny_params: TinyParams) -> None:
    with pytest.raises(UserError, match=r"prose\.txt: no such file"):
        build(tmp_path, tmp_path / "base", tiny_params, seed=1)


def test_training_leaves_an_adapter_and_curves_and_nothing_else(trained: tuple) -> None:
    folder, ledger = trained
    assert sorted(digests(folder / "adapter")) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]
    assert sorted(digests(folder / "curves")) == [
        "eval/loss.tsv",
        "grad_norm.tsv",
        "learning_rate.tsv",
        "loss.tsv",
    ]
    lines = (folder / "curves/loss.tsv").read_text().splitlines()
    assert [line.split("\t")[0] for line in lines] == ["step", "1", "2", "3"]
    assert ledger["rows"] == 4
    assert ledger["steps"] == 3


def test_training_again_gives_the_same_bytes(
    trained: tuple, tiny_model: Path, tmp_path: Path
) -> None:
    folder, ledger = trained
    again = train(
        ROWS[:4], ROWS[4:], tiny_model, tmp_path / "adapter", tmp_path / "curves", TRAIN, CHAT, 1
    )
    assert again == ledger
    assert digests(tmp_path / "adapter") == digests(folder / "adapter")
    assert digests(tmp_path / "curves") == digests(folder / "curves")


def test_no_output_names_a_path_of_this_machine(trained: tuple, tiny_model: Path) -> None:
    folder, _ = trained
    for path in folder.rglob("*"):
        if path.suffix in (".json", ".jinja", ".tsv"):
            content = path.read_text().replace(str(tiny_model), "models/base")
            assert str(Path.home()) not in content
            assert str(folder) not in content


def test_overlong_rows_are_left_out_and_counted(tiny_model: Path, tmp_path: Path) -> None:
    long = make_row(9, "雪" * 500)
    tokenizer = load_tokenizer(tiny_model)
    assert rows_within([*ROWS, long], tokenizer, CHAT, 128) == ROWS
    ledger = train(
        [*ROWS[:4], long], ROWS[4:], tiny_model, tmp_path / "a", tmp_path / "c", TRAIN, CHAT, 1
    )
    assert (ledger["rows"], ledger["rows_over_length"]) == (4, 1)
    with pytest.raises(UserError, match=r"all 1 rows are longer than train\.max_length \(128"):
        train([long], ROWS, tiny_model, tmp_path / "b", tmp_path / "d", TRAIN, CHAT, 1)


def test_merged_weights_write_what_base_and_adapter_write(trained: tuple, tiny_model: Path) -> None:
    from peft import PeftModel

    folder, _ = trained
    ids = torch.tensor([load_tokenizer(tiny_model)("雪落千山静，")["input_ids"]])
    adapted = PeftModel.from_pretrained(load_model(tiny_model, "fp32"), folder / "adapter")
    merged = load_model(folder / "merged", "fp32")
    with torch.inference_mode():
        torch.testing.assert_close(merged(ids).logits, adapted.eval()(ids).logits)
    base = load_file(tiny_model / "model.safetensors")
    changed = {
        name
        for name, w in load_file(folder / "merged/model.safetensors").items()
        if not torch.equal(w, base[name])
    }
    assert changed
    assert all("q_proj" in name or "v_proj" in name for name in changed)


def test_held_out_loss_counts_the_answer_alone(trained: tuple, tiny_model: Path) -> None:
    folder, _ = trained
    base = losses_per_character(tiny_model, ROWS[4:], CHAT, "fp32", "base")
    tuned = losses_per_character(folder / "merged", ROWS[4:], CHAT, "fp32", "tuned")
    assert all(after < before for before, after in zip(base, tuned, strict=True))
    # An untrained model spreads its bets over the vocabulary: about log(V) nats a token.
    vocabulary = len(load_tokenizer(tiny_model))
    expected = torch.log(torch.tensor(float(vocabulary))).item()
    assert base[0] == pytest.approx(expected, rel=0.3)
