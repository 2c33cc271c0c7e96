"""`wenmo estimate train`: the memory of a training, reckoned from shapes alone."""

import json
from pathlib import Path

import pytest
from bench.training_memory import SHAPES, measured
from ruamel.yaml import YAML
from typer.testing import CliRunner

from tests.conftest import ROOT, run_python
from tests.hub_server import HubServer, Repository
from tests.small_training import settings
from wenmo.config.train import TrainParams
from wenmo.core.errors import UserError
from wenmo.model.training_memory import Memory, training_memory
from wenmo.tools import cli
from wenmo.tools.estimate import GIB, config_in, fits

SMALL_QWEN3 = {
    "model_type": "qwen3",
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_hidden_layers": 6,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "vocab_size": 1000,
}


@pytest.mark.full
@pytest.mark.parametrize("name", SHAPES)
def test_the_estimate_is_within_15_percent_of_what_is_measured(name: str) -> None:
    found = measured(name)
    assert found["estimated"] == pytest.approx(found["measured"], rel=0.15), found


def reckoned(folder: Path, on_gpu: bool = True, layers: int = 2, **section) -> Memory:
    folder.mkdir(exist_ok=True)
    content = SMALL_QWEN3 | {"num_hidden_layers": layers}
    (folder / "config.json").write_text(json.dumps(content), encoding="utf-8")
    params = settings(max_length=512, lora={"r": 32, "target_modules": "all-linear"}, **section)
    return training_memory(config_in(folder), params, "bf16", on_gpu)


def test_settings_that_save_memory_are_seen_to_save_it(tmp_path: Path) -> None:
    plain = reckoned(tmp_path)
    assert reckoned(tmp_path, gradient_checkpointing=True).activations < plain.activations / 4
    assert reckoned(tmp_path, activation_offloading=True).activations < plain.activations / 4
    assert reckoned(tmp_path, optim="adamw_8bit").adapter < plain.adapter
    assert reckoned(tmp_path, per_device_train_batch_size=1).activations < plain.activations * 0.6
    assert reckoned(tmp_path, quantization="4bit").weights < plain.weights
    # Attention in steps keeps the square of scores, which a fused kernel does not.
    assert reckoned(tmp_path, on_gpu=False).activations > plain.activations * 1.5


def test_layers_that_are_added_up_take_what_layers_that_are_replayed_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    added = reckoned(tmp_path, layers=5)
    monkeypatch.setattr("wenmo.model.training_memory._period", len)
    assert reckoned(tmp_path, layers=5) == added


def reckon(params: TrainParams) -> Memory:
    """10 GiB of weights, and 1 GiB of activations a row; less where it is to be saved."""
    weights = 3 if params.quantization == "4bit" else 10
    row = 1 / 4 if params.gradient_checkpointing else 1
    return Memory(weights * GIB, 0, round(params.per_device_train_batch_size * row * GIB), 0)


def test_a_size_that_does_not_fit_is_told_the_settings_with_which_it_does() -> None:
    told = fits(settings(per_device_train_batch_size=16, precision="bf16"), reckon)
    assert told == {
        8: "gradient_checkpointing: true, per_device_train_batch_size: 1, quantization: 4bit",
        16: "gradient_checkpointing: true",
        24: "gradient_checkpointing: true",
        80: "fits",
    }
    # Weights that are sharded cannot be quantized, and half the length changes nothing here.
    launcher = "accelerate launch --config_file configs/fsdp.yaml"
    sharded = settings(precision="bf16", launcher=launcher)
    assert fits(sharded, reckon)[8] == "does not fit"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    return tmp_path


def set_params(**base_model: str) -> None:
    """Poetry alone, with that base."""
    content = YAML(typ="safe").load(Path("params.yaml"))
    content["tasks"] = ["poetry"]
    content["base_model"] |= base_model
    YAML().dump(content, Path("params.yaml"))


def test_the_command_needs_no_base_but_its_configuration(folder: Path) -> None:
    config = json.dumps(SMALL_QWEN3).encode()
    repository = Repository({"config.json": config, "model.safetensors": b"never fetched"})
    with HubServer({"me/base": repository}) as hub:
        set_params(source="huggingface", name="me/base", revision=repository.commit)
        environment = {"HF_ENDPOINT": hub.url, "HF_HOME": str(folder / "cache")}
        command = "from wenmo.tools.cli import app; app(['estimate', 'train'])"
        run = run_python("-c", command, cwd=folder, environment=environment)
        assert {each.file for each in hub.sent} == {"config.json"}
    assert run.returncode == 0, run.stderr
    rows = [line.split("|") for line in run.stdout.splitlines() if "poetry" in line]
    assert [cell.strip() for cell in rows[1][2:-1]] == ["fits"] * 4
    *parts, total = map(float, rows[0][2:-1])
    assert sum(parts) == pytest.approx(total, abs=0.03)


def test_a_base_that_is_not_there_is_told_with_the_way_out(folder: Path) -> None:
    set_params(source="modelscope", name="me/base")
    result = CliRunner().invoke(cli.app, ["estimate", "train"])
    assert (result.exit_code, result.stderr) == (
        1,
        "estimate train: models/base is not the model that params.yaml names; run"
        " `dvc repro base_model`\n",
    )


def test_an_adapter_without_a_layer_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="target_modules: qwen3 has no layers"):
        (tmp_path / "config.json").write_text(json.dumps(SMALL_QWEN3), encoding="utf-8")
        params = settings(lora={"target_modules": ["c_attn"]})
        training_memory(config_in(tmp_path), params, "bf16", on_gpu=True)
