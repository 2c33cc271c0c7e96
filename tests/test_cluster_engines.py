"""vLLM on the nodes of a Ray cluster writes what it writes on this machine."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.ray_nodes import Nodes, ray_nodes
from tests.server_process import VLLM_IS_MISSING
from tests.small_generation import completions, prompts, settings
from tests.small_models import random_adapter
from wenmo.core.cluster import VARIABLE
from wenmo.core.errors import UserError
from wenmo.engines.engine import Model
from wenmo.engines.vllm import load
from wenmo.engines.vllm_cluster import ClusterEngine

pytestmark = pytest.mark.full

if VLLM_IS_MISSING:
    pytest.skip("vLLM is not installed: `make vllm`", allow_module_level=True)

ASKED = prompts(40)
PARAMS = settings(weights="adapter", sampling={"max_new_tokens": 48}, vllm={"max_num_seqs": 5})


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    with ray_nodes(head_cores=0) as nodes:
        yield nodes


@pytest.fixture(scope="module")
def models(small_base: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Model]:
    adapter = random_adapter(small_base, tmp_path_factory.mktemp("adapter"))
    return [Model("base", small_base), Model("tuned", small_base, adapter)]


@pytest.fixture
def on_cluster(nodes: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Nodes:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, nodes.address)
    return nodes


def test_two_engines_of_which_one_dies_answer_every_prompt_once_as_one_engine(
    on_cluster: Nodes, models: list[Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    with load(PARAMS, models) as there:
        assert isinstance(there, ClusterEngine)
        for model in models:
            for number, each in enumerate(there.generate(model, ASKED, PARAMS.sampling)):
                found.append(each)
                if model.adapter and number == 5:
                    on_cluster.kill_one()
    monkeypatch.delenv(VARIABLE)
    with load(PARAMS, models) as here:
        for at, model in enumerate(models):
            texts = found[at * len(ASKED) : (at + 1) * len(ASKED)]
            assert [each.id for each in texts] == [each.id for each in ASKED]
            assert {each.id: each for each in texts} == completions(
                here, model, ASKED, PARAMS.sampling
            )


def test_a_model_that_a_node_does_not_have_is_named(
    on_cluster: Nodes, models: list[Model], tmp_path: Path
) -> None:
    with (
        load(PARAMS, models[:1]) as engine,
        pytest.raises(UserError, match=r"no-model: no such folder"),
    ):
        list(
            engine.generate(
                replace(models[0], folder=tmp_path / "no-model"), ASKED, PARAMS.sampling
            )
        )


def test_more_gpus_than_the_nodes_have_is_one_line(
    on_cluster: Nodes, models: list[Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wenmo.engines.vllm_cluster.is_cpu_build", lambda: False)
    with (
        load(PARAMS, models[:1]) as engine,
        pytest.raises(UserError, match=r"none of its nodes has 1 GPU; see logs/cluster\.log"),
    ):
        list(engine.generate(models[0], ASKED, PARAMS.sampling))
