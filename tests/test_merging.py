"""Merged weights are the trained ones: compared on held-out rows, refused where they differ."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import GenerationConfig

from tests.small_training import CHAT, ROWS, fit
from wenmo.config.merge_weights import MergeWeightsParams
from wenmo.core.errors import UserError
from wenmo.model.loading import end_tokens, load_model, load_tokenizer
from wenmo.model.merge_weights import compare, logits, merge_adapter, refuse_difference

FP32 = MergeWeightsParams(precision="fp32", max_shard_size="2GB", compared_rows=4)


@pytest.fixture(scope="module")
def adapter(small_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("adapter")
    fit(small_base, folder, learning_rate=5e-2, lora={"target_modules": ["q_proj", "v_proj"]})
    return folder / "adapter"


def merged(base: Path, adapter: Path, folder: Path, **update: Any) -> tuple[Path, dict[str, float]]:
    params = FP32.model_copy(update=update)
    return folder / "merged", merge_adapter(base, adapter, folder / "merged", ROWS, params, CHAT)


def test_merged_weights_write_what_base_and_adapter_write(
    small_base: Path, adapter: Path, tmp_path: Path
) -> None:
    from peft import PeftModel

    folder, agreement = merged(small_base, adapter, tmp_path)
    assert agreement["compared_rows"] == 4
    assert agreement["relative_logit_difference"] < 1e-5
    assert agreement["greedy_agreement"] == 1.0
    ids = torch.tensor([load_tokenizer(folder)("雪落千山静，")["input_ids"]])
    adapted = PeftModel.from_pretrained(load_model(small_base, "fp32"), adapter)
    with torch.inference_mode():
        expected, found = adapted.eval()(ids).logits, load_model(folder, "fp32")(ids).logits
    torch.testing.assert_close(found, expected)
    before = load_file(small_base / "model.safetensors")
    after = load_file(folder / "model.safetensors")
    changed = {name for name, weight in after.items() if not torch.equal(weight, before[name])}
    assert changed
    assert all("q_proj" in name or "v_proj" in name for name in changed)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_fewer_bits_are_within_what_they_explain(
    small_base: Path, adapter: Path, tmp_path: Path, precision: str
) -> None:
    folder, agreement = merged(small_base, adapter, tmp_path, precision=precision)
    assert agreement["relative_logit_difference"] > 0
    assert agreement["greedy_agreement"] > 0.9
    weights = load_file(folder / "model.safetensors").values()
    assert {weight.dtype for weight in weights} == {
        {"bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    }


@pytest.mark.parametrize("quantization", ["4bit", "8bit"])
def test_an_adapter_of_a_quantised_base_goes_into_the_unquantised_one(
    small_base: Path, tmp_path: Path, quantization: str
) -> None:
    fit(small_base, tmp_path, learning_rate=5e-2, quantization=quantization, precision="bf16")
    folder, agreement = merged(small_base, tmp_path / "adapter", tmp_path)
    assert agreement["relative_logit_difference"] < 1e-5
    assert agreement["greedy_agreement"] == 1.0
    assert "quantization_config" not in json.loads((folder / "config.json").read_text())
    weights = load_file(folder / "model.safetensors").values()
    assert {weight.dtype for weight in weights} == {torch.float32}


@pytest.mark.parametrize(
    "way",
    [
        {"use_dora": True},
        {"use_rslora": True},
        {"init_lora_weights": "pissa"},
        {"init_lora_weights": "pissa", "use_rslora": True},
        {"init_lora_weights": "eva"},
    ],
    ids=str,
)
def test_every_kind_of_adapter_can_be_merged_and_is_the_one_that_was_trained(
    small_base: Path, tmp_path: Path, way: dict[str, Any]
) -> None:
    """PiSSA alters the base while it is trained, of which the merged weights hold nothing."""
    ledger, _ = fit(small_base, tmp_path, learning_rate=1e-2, lora=way)
    folder, agreement = merged(small_base, tmp_path / "adapter", tmp_path)
    assert agreement["relative_logit_difference"] < 1e-4
    again, _ = fit(folder, tmp_path / "again", learning_rate=1e-2)
    assert again["eval_loss_at_start"] == pytest.approx(ledger["eval_loss"], abs=2e-4)
    assert again["eval_loss_at_start"] < ledger["eval_loss_at_start"] - 0.01


def untied(base: Path, folder: Path) -> Path:
    """The model with its own weights for the output layer, as Qwen's larger ones have."""
    model = load_model(base, "fp32")
    model.config.tie_word_embeddings = False
    model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone() * 1.5)
    model.save_pretrained(folder)
    load_tokenizer(base).save_pretrained(folder)
    return folder


def test_tied_embeddings_stay_tied_and_others_their_own(
    small_base: Path, adapter: Path, tmp_path: Path
) -> None:
    tied, _ = merged(small_base, adapter, tmp_path / "tied")
    assert "lm_head.weight" not in load_file(tied / "model.safetensors")
    model = load_model(tied, "fp32")
    assert model.lm_head.weight is model.model.embed_tokens.weight

    base = untied(small_base, tmp_path / "base")
    own, agreement = merged(base, adapter, tmp_path / "untied")
    assert agreement["relative_logit_difference"] < 1e-5
    assert torch.equal(
        load_file(own / "model.safetensors")["lm_head.weight"],
        load_file(base / "model.safetensors")["lm_head.weight"],
    )


def test_shards_are_no_larger_than_asked(small_base: Path, adapter: Path, tmp_path: Path) -> None:
    folder, agreement = merged(small_base, adapter, tmp_path, max_shard_size="1MB")
    shards = sorted(folder.glob("*.safetensors"))
    assert len(shards) > 1
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    assert set(index["weight_map"].values()) == {path.name for path in shards}
    largest = max(weight.nbytes for path in shards for weight in load_file(path).values())
    assert all(path.stat().st_size < max(1_000_000, largest) + 10_000 for path in shards)
    assert agreement["greedy_agreement"] == 1.0


def test_the_folder_holds_all_that_an_engine_needs(
    small_base: Path, adapter: Path, tmp_path: Path
) -> None:
    folder, _ = merged(small_base, adapter, tmp_path)
    assert {path.name for path in small_base.iterdir()} <= {path.name for path in folder.iterdir()}
    own = (folder / "generation_config.json").read_text()
    assert json.loads(own)["eos_token_id"] == load_tokenizer(folder).eos_token_id


def published(base: Path, folder: Path, file: str, **settings: Any) -> Path:
    """The base with a publisher's settings in generation_config.json, or in config.json alone."""
    shutil.copytree(base, folder)
    if file == "config.json":
        (folder / "generation_config.json").unlink()
    content = json.loads((folder / file).read_text()) | settings
    (folder / file).write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize("file", ["generation_config.json", "config.json"])
@pytest.mark.parametrize(
    "settings",
    [
        {"temperature": 0.7, "top_p": 0.8, "top_k": 20},
        {"do_sample": False, "min_p": 0.1},
        {"length_penalty": 1.5},
        {"output_scores": True},
        {"pad_token_id": -1},
    ],
)
def test_settings_that_contradict_each_other_stop_no_merge_and_the_end_stays(
    small_base: Path, adapter: Path, tmp_path: Path, file: str, settings: dict[str, Any]
) -> None:
    base = published(small_base, tmp_path / "base", file, **settings)
    folder, agreement = merged(base, adapter, tmp_path)
    assert agreement["relative_logit_difference"] < 1e-5
    GenerationConfig.from_pretrained(folder).save_pretrained(tmp_path / "again")
    assert end_tokens(folder) == end_tokens(small_base)


def test_settings_that_fit_each_other_are_kept(
    small_base: Path, adapter: Path, tmp_path: Path
) -> None:
    settings = {"do_sample": True, "temperature": 0.7, "top_k": 20, "repetition_penalty": 1.1}
    base = published(small_base, tmp_path / "base", "generation_config.json", **settings)
    folder, _ = merged(base, adapter, tmp_path)
    kept = json.loads((folder / "generation_config.json").read_text())
    assert settings.items() <= kept.items()


def test_weights_that_are_not_the_trained_ones_are_refused(
    small_base: Path, adapter: Path, tmp_path: Path
) -> None:
    folder, _ = merged(small_base, adapter, tmp_path)
    broken = tmp_path / "broken"
    shutil.copytree(folder, broken)
    weights = load_file(broken / "model.safetensors")
    # One layer's attention is lost, as it would be if its names did not match.
    weights["model.layers.1.self_attn.o_proj.weight"].zero_()
    save_file(weights, broken / "model.safetensors", {"format": "pt"})
    expected = logits(load_model(folder, "fp32"), small_base, ROWS, CHAT)
    found = logits(load_model(broken, "fp32"), small_base, ROWS, CHAT)
    agreement = compare(expected, found)
    with pytest.raises(UserError, match=r"broken: the merged weights differ .* by \d+\.\d% of the"):
        refuse_difference(agreement, broken, "fp32")
