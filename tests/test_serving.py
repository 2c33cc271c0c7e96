"""`wenmo serve`: the real servers on loopback, and one line if none can start."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from openai import OpenAI
from ruamel.yaml import YAML
from typer.testing import CliRunner

from tests.conftest import ROOT, make_row
from tests.server_process import VLLM_IS_MISSING, ask, free_port, wait_until_healthy
from tests.small_models import random_adapter
from tests.small_training import CHAT
from wenmo.config.merge_weights import MergeWeightsParams
from wenmo.model.chat import chat_text, prompt_messages
from wenmo.model.loading import load_model, load_tokenizer
from wenmo.model.merge_weights import merge_adapter
from wenmo.tools import cli, serve

RANKS = {"novel": 4, "poetry": 9}
WITHOUT_VLLM = "import sys; sys.modules['vllm'] = None; "
MESSAGES = prompt_messages(CHAT.system_prompt, "写雪。")
ANSWER_TOKENS = 24


@pytest.fixture(scope="module")
def repository(small_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with adapters of random weights for two of the three tasks.

    The models have sampling settings in generation_config.json, as published ones do.
    """
    folder = tmp_path_factory.mktemp("repository")
    shutil.copy2(ROOT / "params.yaml", folder)
    base = shutil.copytree(small_base, folder / "models/base")
    params = MergeWeightsParams(precision="fp32", max_shard_size="2GB", compared_rows=1)
    for task, rank in RANKS.items():
        adapter = random_adapter(base, folder / "models/adapters" / task, rank)
        merge_adapter(base, adapter, folder / "models/merged" / task, [make_row()], params, CHAT)
    for path in folder.glob("models/**/generation_config.json"):
        own = {"do_sample": True, "top_k": 1, "repetition_penalty": 3.0}
        path.write_text(json.dumps(json.loads(path.read_text()) | own))
    return folder


@pytest.fixture(
    scope="module",
    params=[
        "transformers serve",
        pytest.param(
            "vLLM",
            marks=pytest.mark.skipif(VLLM_IS_MISSING, reason="vLLM is not installed: `make vllm`"),
        ),
    ],
)
def url(
    request: pytest.FixtureRequest, repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    with serving_process(request.param, repository, tmp_path_factory.mktemp("log")) as (_, port):
        yield f"http://127.0.0.1:{port}/v1"


@contextmanager
def serving_process(
    server: str, repository: Path, logs: Path
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """`wenmo serve`, ready for requests; no process may be left after the final SIGTERM."""
    port, log = free_port(), logs / "log"
    code = ("" if server == "vLLM" else WITHOUT_VLLM) + "from wenmo.tools.cli import app; app()"
    command = [sys.executable, "-c", code, "serve", "--port", str(port)]
    environment = {"PYTHONPATH": str(ROOT / "src"), "VLLM_CPU_KVCACHE_SPACE": "1"}
    with log.open("w") as out:
        process = subprocess.Popen(
            command,
            cwd=repository,
            env=os.environ | environment,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_until_healthy(f"http://127.0.0.1:{port}/health", process, log)
        told = log.read_text().splitlines()
        first = told.index(f"{server} on http://127.0.0.1:{port}/v1 with")
        assert [line.split()[0] for line in told[first + 1 : first + 4]] == ["base", *RANKS]
        yield process, port
    finally:
        process.terminate()
        process.wait(60)
        wait_until_gone(process.pid)


def wait_until_gone(group: int) -> None:
    """Fail if a process of the group is still there after ten seconds."""
    deadline = time.monotonic() + 10
    while True:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        assert time.monotonic() < deadline
        time.sleep(0.1)


def question(model: str, messages: Any = MESSAGES, **options: Any) -> dict[str, Any]:
    return {"model": model, "messages": messages, "max_tokens": ANSWER_TOKENS} | options


def answer(url: str, asked: dict[str, Any]) -> str:
    return ask(f"{url}/chat/completions", asked)["choices"][0]["message"]["content"]


def greedy_text(base: Path, adapter: Path | None) -> tuple[str, int]:
    """What transformers writes with base, or base and adapter; and how many tokens it read."""
    from peft import PeftModel
    from transformers import GenerationConfig

    model, tokenizer = load_model(base, "fp32").eval(), load_tokenizer(base)
    ends = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    model.generation_config = GenerationConfig(**ends)
    if adapter:
        model = PeftModel.from_pretrained(model, adapter).eval()
    asked = tokenizer(
        chat_text(tokenizer, MESSAGES), return_tensors="pt", add_special_tokens=False
    ).to(model.device)
    read = asked["input_ids"].shape[1]
    ids = model.generate(**asked, do_sample=False, max_new_tokens=ANSWER_TOKENS)
    return tokenizer.decode(ids[0, read:], skip_special_tokens=True), read


def test_the_server_lists_base_and_trained_tasks(url: str) -> None:
    with urllib.request.urlopen(f"{url}/models", timeout=60) as listed:
        assert {model["id"] for model in json.load(listed)["data"]} == {"base", *RANKS}


@pytest.mark.parametrize(
    "foreign",
    [
        {"Host": "evil.example"},
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
def test_a_web_page_of_another_site_cannot_use_the_server(
    url: str, foreign: dict[str, str]
) -> None:
    for route in ("models", "chat/completions"):
        data = json.dumps(question("base")).encode() if route.endswith("completions") else None
        headers = {"Content-Type": "application/json"} | foreign
        with pytest.raises(urllib.error.HTTPError, match="403") as refused:
            urllib.request.urlopen(urllib.request.Request(f"{url}/{route}", data, headers))
        assert refused.value.headers["Access-Control-Allow-Origin"] is None
        assert refused.value.read().count(b"\n") == 1


def test_the_server_writes_what_transformers_writes(url: str, repository: Path) -> None:
    models = repository / "models"
    texts = {}
    for name in ("base", *RANKS):
        adapter = models / "adapters" / name if name in RANKS else None
        text, read = greedy_text(models / "base", adapter)
        answered = ask(f"{url}/chat/completions", question(name, temperature=0))
        assert answered["choices"][0]["message"]["content"] == text
        assert answered["usage"]["prompt_tokens"] == read
        texts[name] = text
    assert len(set(texts.values())) == 3


def test_a_seed_draws_the_same_text_again_without_the_models_own_settings(url: str) -> None:
    # With the top_k of 1 in generation_config.json, every draw would be the likeliest token.
    with OpenAI(base_url=url, api_key="none", timeout=60, max_retries=0) as client:
        drawn = [
            client.chat.completions.create(**question("poetry"), seed=seed) for seed in (1, 1, 2)
        ]
    first, again, other = [each.choices[0].message.content for each in drawn]
    assert first == again != other


def test_many_long_prompts_with_seeds_are_answered(url: str) -> None:
    """More tokens than vLLM reads at a time; with chunked prefill they would crash it."""
    asked = [
        # The first words differ, since vLLM reads a common beginning once.
        question(
            ("base", *RANKS)[seed % 3],
            [{"role": "user", "content": f"{seed}" + "雪" * 400}],
            seed=seed,
            max_tokens=2,
        )
        for seed in range(48)
    ]
    with ThreadPoolExecutor(len(asked)) as threads:
        answers = list(threads.map(lambda each: answer(url, each), asked))
    assert len(answers) == len(asked)


def test_ctrl_c_ends_the_server(repository: Path, tmp_path: Path) -> None:
    with serving_process("transformers serve", repository, tmp_path) as (process, _):
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 1  # as typer ends transformers' commands
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_the_server_takes_the_place_of_the_command(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repository)
    monkeypatch.setitem(sys.modules, "vllm", None)
    became = []
    monkeypatch.setattr(os, "execvpe", lambda *told: became.append(told))
    result = CliRunner().invoke(
        cli.app, ["serve", "--task", "poetry", "--port", str(free_port()), "--allow-host", "box"]
    )
    assert result.exit_code == 0, result.output
    prompt = YAML().load((ROOT / "params.yaml").read_text(encoding="utf-8"))["poetry"]["chat"]
    assert result.stdout.splitlines()[1:] == [
        "base      models/base",
        f'poetry    models/merged/poetry  system prompt "{prompt["system_prompt"]}"',
    ]
    [(program, command, environment)] = became
    assert program == command[0] == sys.executable
    assert command[command.index("--host") + 1] == "127.0.0.1"
    assert command[command.index("--dtype") + 1] == "float32"
    assert environment["HF_HUB_OFFLINE"] == "1"
    assert environment["WENMO_ALLOWED_HOSTS"] == "127.0.0.1 ::1 box localhost"


def refusal(*arguments: str) -> str:
    """The one line with which `wenmo serve` fails."""
    result = CliRunner().invoke(cli.app, ["serve", "--port", str(free_port()), *arguments])
    assert result.exit_code == 1, result.output
    assert result.stdout == ""
    [line] = result.stderr.splitlines()
    return line


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A root without models, on a machine without vLLM."""
    shutil.copy2(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "vllm", None)
    return tmp_path


def put(folder: Path, file: str, **content: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / file).write_text(json.dumps(content))
    return folder


def test_what_is_missing_is_named_in_one_line(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(bare / "models/base", "config.json")
    assert refusal() == (
        "serve: models/merged: no model of novel, fairytale, poetry; run `dvc repro`"
    )
    put(bare / "models/merged/novel", "config.json")
    assert refusal("--task", "novel", "--task", "poetry") == (
        "serve: models/merged/poetry: no config.json; run `dvc repro merge_weights@poetry`"
    )
    monkeypatch.setattr(serve, "find_spec", lambda name: name == "vllm" or None)
    assert refusal("--task", "poetry") == (
        "serve: models/adapters/poetry: no adapter_config.json; run `dvc repro train@poetry`"
    )
    monkeypatch.setattr(serve, "find_spec", lambda name: None)
    assert refusal() == (
        "serve: no server is installed; run `make vllm`, or `pip install -e '.[serve]'` for"
        " `transformers serve`"
    )


def test_a_port_in_use_is_told_in_one_line(bare: Path) -> None:
    put(bare / "models/base", "config.json")
    put(bare / "models/merged/novel", "config.json")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert refusal("--port", str(port)) == (
            f"serve: 127.0.0.1:{port}: address already in use; choose another --host or --port"
        )


def vllm_command(root: Path, monkeypatch: pytest.MonkeyPatch, *, on_cpu: bool = True) -> str:
    """The options of vLLM for a base that reads 32,768 tokens, and adapters of ranks 8 and 9."""
    monkeypatch.chdir(root)
    put(root / "models/base", "config.json", max_position_embeddings=32768)
    adapters = {
        "novel": put(Path("models/adapters/novel"), "adapter_config.json", r=8),
        "poetry": put(
            Path("models/adapters/poetry"), "adapter_config.json", r=4, rank_pattern={"q_proj": 9}
        ),
    }
    server = serve.vllm_server(adapters, "bf16", "127.0.0.1", 8000, on_cpu=on_cpu)
    assert set(server.models) == {"base", *adapters}
    return " ".join(server.command)


def test_the_options_of_vllm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = vllm_command(tmp_path, monkeypatch)
    assert "--model models/base --served-model-name base --dtype bfloat16" in command
    assert "--generation-config vllm --middleware wenmo.tools.same_host.SameHost" in command
    assert "--enable-lora --max-lora-rank 16 --max-loras 2" in command
    assert "--lora-modules novel=models/adapters/novel poetry=models/adapters/poetry" in command
    assert "--enforce-eager --no-enable-chunked-prefill" in command
    assert "--max-num-batched-tokens 4096 --max-model-len 4096" in command

    command = vllm_command(tmp_path, monkeypatch, on_cpu=False)
    assert "--enforce-eager" not in command
    assert "--max-num-batched-tokens" not in command


@pytest.mark.parametrize(("own", "expected"), [(None, "2"), ("7", "7")])
def test_the_environment_can_set_vllms_cache_size(
    bare: Path, monkeypatch: pytest.MonkeyPatch, own: str | None, expected: str
) -> None:
    put(bare / "models/base", "config.json")
    monkeypatch.delenv("VLLM_CPU_KVCACHE_SPACE", raising=False)
    if own:
        monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", own)
    server = serve.vllm_server({}, "fp32", "127.0.0.1", 8000, on_cpu=True)
    assert server.environment["VLLM_CPU_KVCACHE_SPACE"] == expected
