"""The presets at work: each one's run, on a model of its architecture.

The models have random weights and a few layers, the rows are the sample's, and two steps are
trained; all else is as the preset says, and must be found again in what the run leaves behind.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from safetensors import safe_open

from tests.conftest import git, run_python, run_stages
from tests.small_models import random_weight_model
from wenmo.config import params_file
from wenmo.config.chat import ChatParams
from wenmo.config.train import TrainParams
from wenmo.core.records import Row, read_records
from wenmo.model.chat import conversation
from wenmo.model.checkpoints import Checkpoints
from wenmo.model.loading import load_model, load_tokenizer, resolved
from wenmo.model.training import new_trainer

pytestmark = pytest.mark.full

RUNS = {
    "novel-qwen2-1.5b": ("novel", "Qwen2-1.5B-Instruct"),
    "fairytale-qwen2.5-1.5b": ("fairytale", "Qwen2.5-1.5B-Instruct"),
    "fairytale-8gb": ("fairytale", "Qwen2.5-1.5B-Instruct"),
    "poetry-qwen1.5-1.8b-qlora": ("poetry", "Qwen1.5-1.8B-Chat"),
    "fairytale-qwen3-1.7b": ("fairytale", "Qwen3-1.7B"),
    "poetry-qwen3-1.7b": ("poetry", "Qwen3-1.7B"),
    "novel-qwen3-4b": ("novel", "Qwen3-4B"),
    "novel-qwen3-8b": ("novel", "Qwen3-8B"),
    "novel-qwen3.5-4b": ("novel", "Qwen3.5-4B"),
    "novel-glm4-9b": ("novel", "GLM-4-9B-0414"),
    "poetry-minicpm3-4b": ("poetry", "MiniCPM3-4B"),
    "path": ("fairytale", "Qwen2.5-1.5B-Instruct"),
}
STEPS = 2


@dataclass(frozen=True)
class Run:
    """The folder in which a preset's stages have run, and what the preset says of training."""

    folder: Path
    task: str
    says: Mapping[str, Any]

    @property
    def params(self) -> TrainParams:
        return TrainParams.load("train", self.task, self.folder / "params.yaml")

    def read(self, path: str) -> dict[str, Any]:
        return json.loads((self.folder / path.format(task=self.task)).read_text(encoding="utf-8"))


@pytest.fixture(scope="module", params=RUNS)
def run(
    request: pytest.FixtureRequest,
    clone: Path,
    tiny_model: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Run:
    """A clone in which the preset was applied and its task was run up to the merged weights."""
    preset, (task, architecture) = request.param, RUNS[request.param]
    folder = tmp_path_factory.mktemp("run") / "wenmo"
    # As committed: by now the clone itself may have been built.
    git(clone, "clone", "--quiet", str(clone), str(folder))
    model = random_weight_model(folder.with_name("model"), architecture, tiny_model)
    succeed(folder, "-c", "from wenmo.tools.cli import app; app()", "preset", preset)
    preset_file = params_file.read(folder / f"presets/{preset}.yaml")
    own = preset_file.get(task, {}).get("train", {})
    shrink(folder / "params.yaml", model)
    stages = [f"{stage}.py {task}" for stage in ("summarize", "merge", "train", "merge_weights")]
    first = ["check.py", "base_model.py", f"prepare.py {task} data/sample/{task}"]
    run_stages(folder, *first, *stages)
    return Run(folder, task, params_file.deep_merge(preset_file["train"], own))


def succeed(folder: Path, *arguments: str) -> None:
    done = run_python(*arguments, cwd=folder)
    assert done.returncode == 0, f"{arguments}: {done.stdout[-2000:]}{done.stderr[-2000:]}"


def shrink(path: Path, model: Path) -> None:
    """Another base model, two steps, few rows, and no endpoint to ask for prompts."""
    yaml = YAML()
    content = yaml.load(path.read_text(encoding="utf-8"))
    content["base_model"].update(source="path", path=str(model))
    content["train"]["max_steps"] = STEPS
    content["merge"]["max_train_rows"] = 8
    content["merge"]["max_eval_rows"] = content["merge_weights"]["compared_rows"] = 2
    content["summarize"]["provider"] = "offline"
    yaml.dump(content, path)


NOT_AN_ARGUMENT = (
    "launcher",  # starts the process
    "max_learning_rate",  # is about params.yaml; test_learning_rate.py
    "mask_history",  # is about rows of several turns; test_chat_contract.py
    "mask_history",  # is about rows of several turns; test_chat_contract.py
    "max_truncated",  # is about rows; test_training.py
    "attn_implementation",  # these are in the loaded model, looked at below
    "quantization",
    "bnb_4bit_quant_type",
    "bnb_4bit_use_double_quant",
    "lora",  # in the adapter's configuration, below
)


def test_every_setting_of_the_preset_reached_the_trainer(run: Run) -> None:
    arguments = run.read("logs/train/{task}.json")["arguments"]
    arguments["precision"] = {(True, False): "bf16", (False, True): "fp16"}.get(
        (arguments["bf16"], arguments["fp16"]), "fp32"
    )
    wanted = run.params.model_dump(exclude=set(NOT_AN_ARGUMENT))
    wanted["precision"] = resolved(run.params.precision)
    assert {key: arguments[key] for key in wanted} == wanted
    assert wanted["max_steps"] == STEPS
    # Nothing lies between the preset and the parameters that the trainer was given.
    as_said = run.params.model_dump() | {"max_steps": run.says["max_steps"]}
    assert params_file.deep_merge(as_said, run.says) == as_said


def test_every_setting_of_the_adapter_is_the_adapters(run: Run) -> None:
    config = run.read("models/adapters/{task}/adapter_config.json")
    wanted = run.params.lora.model_dump()
    modules = wanted.pop("target_modules")
    assert {key: config[key] for key in wanted} == wanted
    if modules == "all-linear":
        modules = linear_layers(run.folder / "models/base")
    with safe_open(
        run.folder / f"models/adapters/{run.task}/adapter_model.safetensors", "pt"
    ) as adapter:
        adapted = {name.split(".")[-3] for name in adapter.keys()}  # noqa: SIM118
    assert adapted == set(modules)


def linear_layers(base: Path) -> set[str]:
    """The names of a model's linear layers, but for the output layer's."""
    layers = load_model(base, "fp32").named_modules()
    names = {name.split(".")[-1] for name, layer in layers if type(layer).__name__ == "Linear"}
    return names - {"lm_head"}


def test_the_base_is_loaded_as_the_preset_says(run: Run, tmp_path: Path) -> None:
    params = run.params
    rows = read_records(Row, run.folder / f"data/merged/{run.task}/train.jsonl")[:1]
    chat = ChatParams.load("chat", run.task, run.folder / "params.yaml")
    checkpoints = Checkpoints(tmp_path, "quantised")
    base = run.folder / "models/base"
    tokenizer = load_tokenizer(base)
    told = [conversation(tokenizer, row, chat) for row in rows]
    trainer = new_trainer(base, tokenizer, told, told, params, 1, checkpoints)
    layer = next(each.base_layer for each in trainer.model.modules() if hasattr(each, "base_layer"))
    assert trainer.model.config._attn_implementation == params.attn_implementation
    if run.says.get("quantization", "none") == "none":
        assert type(layer).__name__ == "Linear"
        return
    assert run.says["quantization"] == "4bit"
    assert type(layer).__name__ == "Linear4bit"
    assert layer.weight.quant_state.quant_type == params.bnb_4bit_quant_type
    assert layer.weight.quant_state.nested is params.bnb_4bit_use_double_quant
    assert str(layer.compute_dtype) == "torch.bfloat16"


def test_training_took_its_steps_and_left_no_row_and_no_layer_out(run: Run) -> None:
    ledger = run.read("metrics/train/{task}.json")
    assert ledger["steps"] == STEPS
    assert ledger["rows_over_length"] == 0
    assert ledger["layers_short_of_adapters"] == 0


def test_the_merged_weights_are_whole_and_in_the_presets_format(run: Run) -> None:
    folder = run.folder / f"models/merged/{run.task}"
    with safe_open(folder / "model.safetensors", "pt") as merged:
        kinds = {str(merged.get_tensor(name).dtype) for name in merged.keys()}  # noqa: SIM118
    assert kinds == {"torch.bfloat16"}
    assert (
        load_tokenizer(folder).chat_template
        == load_tokenizer(run.folder / "models/base").chat_template
    )
