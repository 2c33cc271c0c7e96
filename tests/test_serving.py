"""Real servers on loopback: `wenmo serve`, and what asks vLLM for texts.

vLLM is the one that `make vllm` installs for CPUs.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from openai import OpenAI
from ruamel.yaml import YAML

from tests.chat_families import FAMILIES
from tests.conftest import ROOT, make_row, only_line, run_python
from tests.server_process import VLLM_IS_MISSING, ask, free_port, wait_until_healthy
from tests.small_generation import completions, greedy, prompts, settings
from tests.small_models import random_adapter, with_template
from tests.small_prompts import bare_rows
from tests.small_training import CHAT
from wenmo.config.merge_weights import MergeWeightsParams
from wenmo.core.records import write_records
from wenmo.engines import openai, transformers
from wenmo.engines.engine import Model
from wenmo.llm.store import Store
from wenmo.model.chat import chat_text, prompt_messages, token_ids
from wenmo.model.contract import find_contract
from wenmo.model.loading import load_model, load_tokenizer
from wenmo.model.merge_weights import merge_adapter

RANKS = {"novel": 4, "poetry": 9}
PREAMBLES = {
    "transformers serve": "import sys; sys.modules['vllm'] = None; ",
    # vLLM then takes a chat template along with the messages.
    "vLLM": "import os; become = os.execvpe; os.execvpe = lambda file, command, environment:"
    " become(file, [*command, '--trust-request-chat-template'], environment); ",
}
"""Python in front of the command, for each server."""

WITHOUT_THINKING = "{% if enable_thinking is defined and not enable_thinking %}。{% endif %}"
"""What a chat template adds to a prompt that is to be answered without thinking: one token here."""

MESSAGES = prompt_messages(CHAT.system_prompt, "写雪。")
ANSWER_TOKENS = 24


@dataclass(frozen=True)
class Served:
    """A server's process, the file that it writes to, and its address."""

    process: subprocess.Popen[bytes]
    log: Path
    url: str


@pytest.fixture(scope="module")
def repository(small_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with adapters of random weights for two of the three tasks.

    The models have sampling settings in generation_config.json, as published ones do, and a chat
    template that knows `enable_thinking`, as Qwen3's does.
    """
    folder = tmp_path_factory.mktemp("repository")
    shutil.copy2(ROOT / "params.yaml", folder)
    base = shutil.copytree(small_base, folder / "models/base")
    with (base / "chat_template.jinja").open("a", encoding="utf-8") as template:
        template.write(WITHOUT_THINKING)
    params = MergeWeightsParams(precision="fp32", max_shard_size="2GB", compared_rows=1)
    for task, rank in RANKS.items():
        adapter = random_adapter(base, folder / "models/adapters" / task, rank)
        merge_adapter(base, adapter, folder / "models/merged" / task, [make_row()], params, CHAT)
    for path in folder.glob("models/**/generation_config.json"):
        own = {"do_sample": True, "top_k": 1, "repetition_penalty": 3.0}
        path.write_text(json.dumps(json.loads(path.read_text()) | own))
    return folder


@pytest.fixture(scope="module")
def transformers_server(
    repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    with serving_process("transformers serve", repository, tmp_path_factory.mktemp("log")) as it:
        yield it


@pytest.fixture(scope="module")
def transformers_url(transformers_server: Served) -> str:
    return transformers_server.url


@pytest.fixture(scope="module")
def vllm_url(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if VLLM_IS_MISSING:
        pytest.skip("vLLM is not installed: `make vllm`")
    with serving_process("vLLM", repository, tmp_path_factory.mktemp("log")) as it:
        yield it.url


@pytest.fixture(
    scope="module",
    params=["transformers_url", pytest.param("vllm_url", marks=pytest.mark.full)],
)
def url(request: pytest.FixtureRequest) -> str:
    address: str = request.getfixturevalue(request.param)
    return address


@contextmanager
def serving_process(server: str, repository: Path, logs: Path) -> Iterator[Served]:
    """`wenmo serve`, ready for requests; no process may be left after the final SIGTERM."""
    port, log = free_port(), logs / "log"
    code = PREAMBLES[server] + "from wenmo.tools.cli import app; app()"
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
        yield Served(process, log, f"http://127.0.0.1:{port}/v1")
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


def test_ctrl_c_ends_the_server(transformers_server: Served) -> None:
    """After all that has asked it."""
    transformers_server.process.send_signal(signal.SIGINT)
    assert transformers_server.process.wait(60) == 1  # as typer ends transformers' commands
    assert "Traceback" not in transformers_server.log.read_text()


@pytest.mark.full
def test_vllm_reads_the_same_tokens_as_the_transformers_engine(
    repository: Path, vllm_url: str
) -> None:
    tokenizer = load_tokenizer(repository / "models/base")
    for prompt in ("灯塔", "写一段关于雪的小说。", "  空格与换行\n\n", "龘 <b> 🦊 {{ 1 }}"):
        messages = prompt_messages(CHAT.system_prompt, prompt)
        ours = tokenizer(chat_text(tokenizer, messages), add_special_tokens=False)["input_ids"]
        told = {"messages": messages, "add_generation_prompt": True}
        assert ask(vllm_url.removesuffix("/v1") + "/tokenize", told)["tokens"] == ours
        answered = ask(f"{vllm_url}/chat/completions", question("novel", messages, max_tokens=1))
        assert answered["usage"]["prompt_tokens"] == len(ours)


@pytest.mark.full
def test_vllm_reads_each_familys_chat_as_we_do(
    repository: Path, vllm_url: str, tmp_path: Path
) -> None:
    """vLLM renders the templates that base_model writes by a template engine of its own."""
    messages = prompt_messages("你是一位诗人。", "写雪。\n\n两行 {{ 1 }}")
    seen = 0
    for name, family in FAMILIES.items():
        tokenizer = with_template(
            tmp_path / name, family.template, repository / "models/merged/novel"
        )
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


@pytest.mark.full
def test_summarize_talks_to_vllm_and_stops_cleanly_where_its_answers_will_not_do(
    vllm_url: str, tmp_path: Path
) -> None:
    yaml = YAML()
    content = yaml.load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    content["summarize"].update(provider="vllm", max_attempts=2)
    content["endpoints"]["vllm"].update(base_url=vllm_url, model="novel")
    yaml.dump(content, tmp_path / "params.yaml")
    shutil.copy2(ROOT / "endpoints.yaml", tmp_path)
    rows = bare_rows(24)
    write_records(tmp_path / "data/prepared/novel/source.jsonl", rows)

    for first in (True, False):
        run = run_python(
            *(ROOT / "stages/summarize.py", "novel"),
            cwd=tmp_path,
            environment={"WENMO_STORE": str(tmp_path / "answers.sqlite")},
        )
        assert f"of {len(rows)} rows got no prompt that will do" in only_line(run)
        log = json.loads((tmp_path / "logs/summarize/novel.json").read_text())
        with Store(tmp_path / "answers.sqlite") as store:
            kept = store.connection.execute("SELECT count(*) FROM answers").fetchone()[0]
        assert len(rows) <= kept <= 2 * len(rows)
        # The second run finds every answer in the store.
        assert log["calls"] == (kept if first else 0)
        assert log["retries"] == 0
        assert (log["completion_tokens"] > 0) is first


@pytest.mark.full
def test_the_openai_engine_writes_the_likeliest_text_of_the_transformers_engine(
    repository: Path, vllm_url: str
) -> None:
    tuned = Model("tuned", repository / "models/merged/novel")
    params = greedy(url=vllm_url, openai={"tuned": "novel"})
    asked = prompts(64)
    found = {}
    for engine in (openai.load(params, [tuned]), transformers.load(params, [tuned])):
        with engine:
            found[engine] = completions(engine, tuned, asked, params.sampling)
    through_server, here = found.values()
    assert through_server.keys() == here.keys()
    same = sum(through_server[prompt.id] == here[prompt.id] for prompt in asked)
    assert same >= 0.95 * len(asked)


@pytest.mark.full
def test_a_prompt_with_a_seed_gets_the_same_text_through_the_server_whatever_stands_beside_it(
    repository: Path, vllm_url: str
) -> None:
    tuned = Model("tuned", repository / "models/merged/novel")
    params = settings(vllm_url, openai={"tuned": "novel"})
    asked = prompts(48)
    with openai.load(params, [tuned]) as engine:
        together = completions(engine, tuned, asked, params.sampling)
        for prompt in asked[::12]:
            assert list(engine.generate(tuned, [prompt], params.sampling)) == [together[prompt.id]]


@pytest.mark.full
def test_the_fields_of_the_endpoint_s_entry_reach_the_server(
    repository: Path, vllm_url: str
) -> None:
    tuned = Model("tuned", repository / "models/merged/novel")
    fields = {
        "max_tokens_field": "max_completion_tokens",
        "omit": ["seed", "top_p"],
        "extra_body": {"chat_template_kwargs": {"enable_thinking": False}},
    }
    asked = prompts(4)
    read, written = [], []
    for of_entry in ({}, fields):
        params = greedy(url=vllm_url, fields=of_entry, openai={"tuned": "novel"})
        with openai.load(params, [tuned]) as engine:
            found = completions(engine, tuned, asked, params.sampling)
            read.append(engine.cost["prompt_tokens"])
        written.append([found[prompt.id].tokens for prompt in asked])
    assert read[1] - read[0] == len(asked)
    assert all(0 < tokens <= 24 for tokens in written[1])
