"""The README.md of a trained model: valid for a hub, traceable, the same every time."""

import json
from pathlib import Path

import pytest
from huggingface_hub import ModelCard
from ruamel.yaml import YAML

from tests.conftest import ROOT
from wenmo.model.card import add_scores, model_card
from wenmo.model.provenance import BaseRecord

COMMIT = "0123456789" * 4
QWEN = BaseRecord("huggingface", "Qwen/Qwen2-1.5B-Instruct", COMMIT, {"config.json": "ab" * 32})
TINY = BaseRecord("tiny", "", "", {"config.json": "ab" * 32, "model.safetensors": "cd" * 32})
PARAMETERS = {
    "train": {"learning_rate": 1e-5, "lora": {"r": 16, "target_modules": ["q_proj", "v_proj"]}},
    "chat": {"system_prompt": "你是一位诗人，" * 30},
    "merge_weights": {"precision": "bf16"},
}
DATA = "ef" * 32
SCORES = json.loads((ROOT / "metrics/poetry.json").read_text())


def card(base: BaseRecord = QWEN, library: str = "transformers") -> str:
    return model_card("poetry", base, DATA, PARAMETERS, library)  # type: ignore[arg-type]


def test_a_card_says_what_a_hub_shows_and_where_the_model_came_from() -> None:
    parsed = ModelCard(card())
    assert parsed.data.to_dict() == {
        "base_model": "Qwen/Qwen2-1.5B-Instruct",
        "language": "zh",
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["wenmo", "poetry", "lora"],
    }
    assert COMMIT in parsed.text
    assert DATA in parsed.text


@pytest.mark.parametrize(
    "base",
    [TINY, BaseRecord("path", "mine", "", {}), BaseRecord("modelscope", "Qwen/Qwen2", COMMIT, {})],
    ids=lambda base: base.source,
)
def test_only_a_name_on_the_hub_is_its_base_model(base: BaseRecord) -> None:
    parsed = ModelCard(card(base))
    assert "base_model" not in parsed.data.to_dict()
    assert base.name in parsed.text
    assert base.revision in parsed.text


def test_the_files_of_a_local_base_are_told_by_their_digests() -> None:
    assert f"`model.safetensors`: `{'cd' * 32}`" in card(TINY)


def test_the_parameters_can_be_read_back() -> None:
    block = card().split("```yaml\n")[1].split("```")[0]
    assert YAML(typ="safe").load(block) == PARAMETERS
    assert PARAMETERS["chat"]["system_prompt"] in block


def test_a_card_is_the_same_every_time_and_names_no_place() -> None:
    assert card() == card()
    assert str(Path.home()) not in card()
    assert str(ROOT) not in card()


def test_scores_stand_in_front_matter_and_table() -> None:
    scored = model_card("poetry", QWEN, DATA, PARAMETERS, "peft", SCORES)
    assert scored == add_scores(card(library="peft"), "poetry", SCORES)
    parsed = ModelCard(scored)
    assert parsed.data.library_name == "peft"
    told = {result.metric_type: result.metric_value for result in parsed.data.eval_results}
    assert told == SCORES["tuned"]
    assert f"| form | {SCORES['base']['form']} | {SCORES['tuned']['form']} |" in parsed.text
    assert str(SCORES["delta"]["p_value"]) in parsed.text
