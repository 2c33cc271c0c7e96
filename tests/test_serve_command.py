"""What `wenmo serve` starts, and the one line that it says if it cannot."""

import json
import os
import shutil
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from tests.conftest import ROOT
from tests.server_process import free_port
from wenmo.tools import cli, serve


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


def test_the_server_takes_the_place_of_the_command(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for model in ("base", "merged/poetry"):
        put(bare / "models" / model, "config.json")
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
