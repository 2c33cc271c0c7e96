"""The vllm engine on the real vLLM, as `make vllm` installs it for CPUs."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.conftest import ROOT, make_row
from tests.server_process import VLLM_IS_MISSING
from tests.small_generation import completions, greedy, prompts, settings
from tests.small_models import random_adapter
from tests.test_verse_engine import asked
from tests.test_verse_state import check
from wenmo.config.chat import ChatParams
from wenmo.config.generate import GenerateParams
from wenmo.config.merge_weights import MergeWeightsParams
from wenmo.core.errors import UserError
from wenmo.engines import vllm_replicas as engine_module
from wenmo.engines.engine import Completion, Model
from wenmo.engines.transformers import TransformersEngine
from wenmo.engines.vllm import load
from wenmo.engines.vllm_arguments import engine_arguments, lora_rank, replica_environment
from wenmo.engines.vllm_replicas import VllmEngine
from wenmo.model.merge_weights import merge_adapter

if VLLM_IS_MISSING:
    pytest.skip("vLLM is not installed: `make vllm`", allow_module_level=True)

ASKED = prompts(65)
GREEDY = greedy().sampling
SEEDED = settings(sampling={"max_new_tokens": 48, "repetition_penalty": 1.1}).sampling


@pytest.fixture(scope="module")
def base(small_base: Path) -> Model:
    return Model("base", small_base)


@pytest.fixture(scope="module")
def adapted(small_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Model:
    """The base with an adapter that changes what it writes."""
    adapter = random_adapter(small_base, tmp_path_factory.mktemp("adapter"))
    return Model("tuned", small_base, adapter)


@pytest.fixture(scope="module")
def merged(adapted: Model, tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder = tmp_path_factory.mktemp("merged")
    how = MergeWeightsParams(precision="fp32", max_shard_size="1GB", compared_rows=1)
    assert adapted.adapter
    chat = ChatParams(system_prompt="你是诗人。")
    merge_adapter(adapted.folder, adapted.adapter, folder, [make_row()], how, chat)
    return Model("tuned", folder)


@pytest.fixture(scope="module")
def engine(base: Model, adapted: Model) -> Iterator[VllmEngine]:
    """Base and adapter from one loaded base."""
    with load(settings(weights="adapter"), [base, adapted]) as engine:
        yield engine


def transformers_texts(model: Model, params: GenerateParams) -> dict[str, Completion]:
    with TransformersEngine(params) as engine:
        return completions(engine, model, ASKED, params.sampling)


def agreement(found: dict[str, Completion], expected: dict[str, Completion]) -> float:
    assert found.keys() == expected.keys()
    return sum(found[key] == expected[key] for key in found) / len(found)


@pytest.mark.full
def test_tokens_are_told_as_they_are_written(engine: VllmEngine, base: Model) -> None:
    told: list[int] = []
    texts = engine.generate(base, ASKED, SEEDED, told.append)
    first = next(texts)
    assert sum(told) > first.tokens
    written = first.tokens + sum(each.tokens for each in texts)
    assert sum(told) == written


def test_greedy_text_is_that_of_transformers(engine: VllmEngine, base: Model) -> None:
    found = completions(engine, base, ASKED, GREEDY)
    assert agreement(found, transformers_texts(base, greedy())) >= 0.95
    penalised = {"repetition_penalty": 1.3}
    params = greedy(sampling=penalised)
    found = completions(engine, base, ASKED, params.sampling)
    assert agreement(found, transformers_texts(base, params)) >= 0.95


def test_an_adapter_over_the_one_base_writes_what_merged_weights_write(
    engine: VllmEngine, base: Model, adapted: Model, merged: Model
) -> None:
    through_base = completions(engine, base, ASKED, GREEDY)
    (process, _) = engine.replicas[0]
    through_adapter = completions(engine, adapted, ASKED, GREEDY)
    assert engine.replicas[0][0] is process
    assert agreement(through_adapter, through_base) < 0.5
    assert agreement(through_adapter, transformers_texts(merged, greedy())) >= 0.95


@pytest.mark.full
def test_an_engine_without_adapters_writes_by_merged_weights_what_the_adapter_writes(
    engine: VllmEngine, base: Model, adapted: Model, merged: Model
) -> None:
    through_adapter = completions(engine, adapted, ASKED, GREEDY)
    with load(settings(), [base, merged]) as other:
        assert agreement(completions(other, merged, ASKED, GREEDY), through_adapter) >= 0.95


def test_a_prompt_with_a_seed_gets_the_same_text_alone_and_among_64_others(
    engine: VllmEngine, base: Model
) -> None:
    together = completions(engine, base, ASKED, SEEDED)
    assert len({each.text for each in together.values()}) > 60
    for prompt in ASKED[::8]:
        assert completions(engine, base, [prompt], SEEDED) == {prompt.id: together[prompt.id]}
    assert completions(engine, base, ASKED[::-1], SEEDED) == together


@pytest.mark.full
def test_two_replicas_write_what_one_writes(engine: VllmEngine, base: Model) -> None:
    params = settings(vllm={"data_parallel_size": 2})
    with load(params, [base]) as two:
        found = completions(two, base, ASKED[:16], SEEDED)
        assert len(two.replicas) == 2
    assert found == completions(engine, base, ASKED[:16], SEEDED)


def test_a_text_ends_before_the_first_stop_string(engine: VllmEngine, base: Model) -> None:
    whole = completions(engine, base, ASKED[:10], SEEDED)
    longest = max(whole.values(), key=lambda each: len(each.text))
    stop = longest.text[8:10]
    found = completions(engine, base, ASKED[:10], SEEDED.model_copy(update={"stop": [stop]}))
    for prompt_id, each in found.items():
        assert each.text == whole[prompt_id].text.partition(stop)[0].strip()
    assert found[longest.id].finish_reason == "stop"


def test_a_context_that_is_too_small_is_one_line(engine: VllmEngine, base: Model) -> None:
    with load(settings(vllm={"max_model_len": 60}), [base]) as small:
        with pytest.raises(UserError, match=r"do not fit into a context of 60") as failure:
            completions(small, base, ASKED, GREEDY)
        assert not small.replicas
    assert "\n" not in str(failure.value)


@pytest.mark.full
def test_what_vllm_refuses_is_one_line(base: Model) -> None:
    with (
        load(settings(vllm={"max_model_len": 10**6}), [base]) as engine,
        pytest.raises(UserError, match=r"vLLM: .*1000000.*VLLM_LOGGING_LEVEL=INFO") as failure,
    ):
        completions(engine, base, ASKED[:1], GREEDY)
    assert "\n" not in str(failure.value)


WAITING = """
import sys
from pathlib import Path
import wenmo.core.stage
from tests.small_generation import prompts, settings
from wenmo.engines.engine import Model
from wenmo.engines.vllm import load

if __name__ == "__main__":
    model = Model("base", Path(sys.argv[1]))
    params = settings(sampling={"max_new_tokens": 400})
    print("loading", flush=True)
    with load(params, [model]) as engine:
        for _ in engine.generate(model, prompts(65), params.sampling):
            print("answering", flush=True)
"""


@pytest.mark.full
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.parametrize("when", ["loading", "answering"])
def test_no_process_is_left_behind(base: Model, tmp_path: Path, when: str, number: int) -> None:
    script = tmp_path / "waiting.py"
    script.write_text(WAITING)
    run = subprocess.Popen(
        [sys.executable, script, base.folder],
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert run.stdout
    while run.stdout.readline().strip() != when:
        assert run.poll() is None
    deadline = time.monotonic() + 60
    # The second child is multiprocessing's resource tracker.
    while len(children := psutil.Process(run.pid).children(recursive=True)) < 2:
        assert time.monotonic() < deadline
    os.kill(run.pid, number)
    run.communicate()
    _, left = psutil.wait_procs(children, timeout=60)
    assert left == []


def test_each_replica_has_gpus_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    params = settings(vllm={"data_parallel_size": 2, "tensor_parallel_size": 2}).vllm

    def gpus() -> list[str]:
        return [replica_environment(rank, params)["CUDA_VISIBLE_DEVICES"] for rank in (0, 1)]

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert gpus() == ["0,1", "2,3"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6,7")
    assert gpus() == ["4,5", "6,7"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2")
    with pytest.raises(UserError, match=r"names 3 GPUs; .* is 4"):
        gpus()


def test_replicas_share_the_cores_of_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stage's own OMP_NUM_THREADS of 1 does not count."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    for replicas, threads in ((1, "8"), (4, "2"), (16, "1")):
        params = settings(vllm={"data_parallel_size": replicas}).vllm
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(replicas))))
        assert replica_environment(0, params)["OMP_NUM_THREADS"] == threads


def test_the_users_environment_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VLLM_CPU_KVCACHE_SPACE", raising=False)
    assert replica_environment(0, settings().vllm)["VLLM_CPU_KVCACHE_SPACE"] == "2"
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "7")
    assert "VLLM_CPU_KVCACHE_SPACE" not in replica_environment(0, settings().vllm)


@pytest.mark.full
def test_a_model_of_a_long_context_starts_on_a_cpu(base: Model, tmp_path: Path) -> None:
    config = json.loads((base.folder / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 32768}))
    arguments = engine_arguments(tmp_path, [], settings(), on_cpu=True)
    assert arguments["max_model_len"] == 4096 <= arguments["max_num_batched_tokens"]
    arguments = engine_arguments(tmp_path, [], settings(), on_cpu=False)
    assert arguments["max_model_len"] == 32768
    assert "enable_chunked_prefill" not in arguments


def test_adapters_in_full_precision_are_refused_on_gpus(base: Model, adapted: Model) -> None:
    assert adapted.adapter
    with pytest.raises(UserError, match=r"set generate.precision to bf16"):
        engine_arguments(base.folder, [adapted.adapter], settings(), on_cpu=False)


@pytest.mark.parametrize(("own", "rank"), [(4, 8), (8, 8), (9, 16), (300, 320)])
def test_max_lora_rank_is_the_smallest_that_fits(tmp_path: Path, own: int, rank: int) -> None:
    (tmp_path / "adapter_config.json").write_text(f'{{"r": {own}, "use_dora": false}}')
    assert lora_rank(tmp_path) == rank


@pytest.mark.parametrize("config", ['{"r": 8, "use_dora": true}', '{"r": 600}'])
def test_an_adapter_that_vllm_cannot_run_is_one_line(tmp_path: Path, config: str) -> None:
    (tmp_path / "adapter_config.json").write_text(config)
    with pytest.raises(UserError, match=r"generate.weights: merged"):
        lora_rank(tmp_path)


def test_a_missing_vllm_names_how_to_install_it(
    base: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "find_spec", lambda _: None)
    with (
        load(settings(), [base]) as engine,
        pytest.raises(UserError, match="vLLM is not installed: `make vllm`"),
    ):
        completions(engine, base, ASKED[:1], GREEDY)


@pytest.mark.full
def test_poems_by_rule_keep_the_rules(base: Model) -> None:
    params = settings(verse="full", sampling={"max_new_tokens": 200, "temperature": 1.0})
    poems = asked(16)
    with load(params, [base]) as engine:
        found = completions(engine, base, [*poems, *prompts(4)], params.sampling)
    for prompt in poems:
        assert prompt.verse
        assert found[prompt.id].finish_reason == "stop"
        check(prompt.verse, found[prompt.id].text)
