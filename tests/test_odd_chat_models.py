"""Chat models that are published otherwise than the families of tests/chat_families.py."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.chat_families import FAMILIES, Family
from tests.conftest import make_row
from tests.small_models import family_model, family_tokenizer
from wenmo.config.base_model import BaseModelParams
from wenmo.config.chat import ChatParams
from wenmo.core.errors import UserError
from wenmo.engines.engine import Prompt, completion
from wenmo.model.base import provide
from wenmo.model.chat import chat_text, conversation, end_token, prompt_messages
from wenmo.model.loading import end_tokens, load_tokenizer, open_tokenizer

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
QWEN = FAMILIES["qwen2"]


class Bench:
    """Makes a model's folder with a chat template, and the base of it."""

    def __init__(self, tiny_model: Path, tiny_params: Any, folder: Path) -> None:
        self.tiny_model, self.tiny_params = tiny_model, tiny_params
        self.own, self.base = folder / "own", folder / "base"

    def publish(self, template: str, family: Family = QWEN) -> None:
        family_model(self.own, family, self.tiny_model)
        (self.own / "chat_template.jinja").write_text(template)

    def edit(self, name: str, **changes: Any) -> None:
        path = self.own / name
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    def provide(self, **template_kwargs: bool | int | str) -> dict[str, Any]:
        """What base_model records of the chat model."""
        params = BaseModelParams(
            source="path",
            name="",
            revision="",
            path=str(self.own),
            template_kwargs=template_kwargs,
            tuning_learning_rate=1e-3,
            tiny=self.tiny_params,
        )
        provide(self.base, params, seed=1)
        found: dict[str, Any] = json.loads((self.base / "wenmo.json").read_text())["chat"]
        return found


@pytest.fixture
def bench(tiny_model: Path, tiny_params: Any, tmp_path: Path) -> Bench:
    return Bench(tiny_model, tiny_params, tmp_path)


@pytest.mark.parametrize(
    ("fault", "template_kwargs"),
    [
        ("{% if not style is defined %}{{ raise_exception('no style') }}{% endif %}", {"style": 1}),
        ("{{ '' if level > 1 else '' }}", {"level": 2}),
        ("{{ 'a' if style is defined else 'b' }}", {"style": "x", "no-identifier": "x"}),
        ("{% if not messages[0].content %}{{ raise_exception('empty') }}{% endif %}", {}),
    ],
)
def test_a_template_that_fails_without_its_variables_or_a_system_prompt_is_mended(
    bench: Bench, fault: str, template_kwargs: dict[str, Any]
) -> None:
    bench.publish(fault + CHATML)
    assert bench.provide(**template_kwargs)["change"]
    tokenizer = load_tokenizer(bench.base)
    for system in ("系统", ""):
        assert chat_text(tokenizer, prompt_messages(system, "问")).endswith(
            f"{system}<|im_end|>\n<|im_start|>user\n问<|im_end|>\n<|im_start|>assistant\n"
        )


def test_templates_by_name_with_none_for_conversations_are_refused_in_one_line(
    bench: Bench,
) -> None:
    bench.publish(CHATML)
    (bench.own / "chat_template.jinja").unlink()
    named = [{"name": name, "template": CHATML} for name in ("rag", "tool_use")]
    bench.edit("tokenizer_config.json", chat_template=named)
    with pytest.raises(UserError, match=r"several chat templates \(rag, tool_use\), none"):
        bench.provide()
    (bench.own / "chat_template.jinja").write_text(CHATML)
    assert bench.provide()["end"] == "<|im_end|>"


PLAIN = replace(QWEN, special_tokens=("<|endoftext|>",), eos_token="<|endoftext|>")
PLAIN_END = ("<|im_end|>", "<|im_start|>")


@pytest.mark.parametrize(
    "family",
    [
        replace(PLAIN, plain_tokens=PLAIN_END, generation_eos_tokens=("<|im_end|>",)),
        replace(PLAIN, plain_tokens=PLAIN_END, generation_eos_tokens=("<|endoftext|>",)),
        replace(
            PLAIN,
            plain_tokens=("<|im_end|>",),
            special_tokens=("<|endoftext|>", "<|im_start|>"),
        ),
    ],
    ids=["named as an end", "not named", "beside special tokens"],
)
def test_an_added_token_that_ends_a_turn_is_the_end_though_it_is_no_special_one(
    bench: Bench, family: Family
) -> None:
    bench.publish(CHATML, family)
    # The tiny model's own turns end by special tokens of the same names.
    demote(bench.own / "tokenizer.json", family.plain_tokens)
    demote(bench.own / "tokenizer_config.json", family.plain_tokens)
    found = bench.provide()
    assert (found["end"], found["change"]) == ("<|im_end|>", "")
    tokenizer = load_tokenizer(bench.base)
    end = end_token(tokenizer)
    assert end in end_tokens(bench.base)
    assert tokenizer.convert_ids_to_tokens(end) == "<|im_end|>"
    answer = [*tokenizer("雪落。", add_special_tokens=False)["input_ids"], end]
    written = completion(Prompt([], 1), answer, True, tokenizer, [])
    assert (written.text, written.tokens) == ("雪落。", len(answer))


def demote(path: Path, tokens: Sequence[str]) -> None:
    """Let added tokens be no special ones."""
    content = json.loads(path.read_text())
    added = content.get("added_tokens") or [*content.get("added_tokens_decoder", {}).values()]
    for each in added:
        if each["content"] in tokens:
            each["special"] = False
    path.write_text(json.dumps(content))


def test_a_text_that_ends_by_line_breaks_ends_by_the_tokenizer_s_own_end(bench: Bench) -> None:
    # Gemma and others have added tokens for runs of line breaks.
    text = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n\n{% endfor %}"
    asking = "{% if add_generation_prompt %}assistant: {% endif %}"
    bench.publish(text + asking, replace(QWEN, plain_tokens=("\n\n",)))
    assert bench.provide()["end"] == "<|im_end|>"


def test_a_model_without_a_token_of_some_kind_gets_none_by_another_template(bench: Bench) -> None:
    bench.publish("{{ 'a' if style is defined else 'b' }}" + CHATML)
    # Classes of tokenizers have defaults, which a null overrides.
    bench.edit("config.json", model_type="llama")
    nulls = {"bos_token": None, "unk_token": None, "pad_token": None}
    bench.edit("tokenizer_config.json", tokenizer_class="LlamaTokenizer", **nulls)
    before = open_tokenizer(bench.own)
    assert bench.provide(style="x")["change"]
    after = open_tokenizer(bench.base)
    assert len(after) == len(before)
    assert after.special_tokens_map == before.special_tokens_map


@pytest.mark.parametrize("method", ["gptq", "awq", "fp8", "compressed-tensors", "bitsandbytes"])
def test_quantised_weights_are_refused_in_one_line(bench: Bench, method: str) -> None:
    bench.publish(CHATML)
    bench.edit("config.json", quantization_config={"quant_method": method, "bits": 4})
    with pytest.raises(UserError) as refused:
        bench.provide()
    assert str(refused.value).startswith(
        f"base_model.path: {bench.own}: its weights are quantised ({method})"
    )
    assert "train.quantization" in str(refused.value)
    assert not bench.base.exists()


@pytest.mark.parametrize("family", ["qwen3", "qwen3.5", "deepseek-v3.1"])
@pytest.mark.parametrize("output", ["雪</think>落了。", "<think>\n想\n</think>\n\n雪落了。"])
def test_a_row_whose_text_a_template_takes_for_thinking_is_named(
    tiny_model: Path, tmp_path: Path, family: str, output: str
) -> None:
    family_tokenizer(tmp_path, FAMILIES[family], tiny_model)
    tokenizer = open_tokenizer(tmp_path)
    kwargs = "{%- set enable_thinking = false -%}{%- set thinking = false -%}\n"
    tokenizer.chat_template = kwargs + str(tokenizer.chat_template)
    chat = ChatParams(system_prompt="系统")
    row = make_row(7, output)
    with pytest.raises(UserError, match=f"{row.source} row 7: the chat template alters its text"):
        conversation(tokenizer, row, chat)
    for kept in ("雪落了。", "\n 雪落了。\n"):
        tokens = conversation(tokenizer, make_row(0, kept), chat)
        assert "雪落了。" in tokenizer.decode(tokens.answer)


@pytest.mark.parametrize("scheme", ["first", "never"])
def test_a_quoted_control_token_is_text_where_a_tokenizer_writes_a_space_first(scheme: str) -> None:
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    characters = ["<unk>", "</s>", "▁", *"<>/s雪落系统问答写\n"]
    model = models.BPE({each: at for at, each in enumerate(characters)}, [], unk_token="<unk>")
    inner = Tokenizer(model)
    inner.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme)
    inner.decoder = decoders.Metaspace(prepend_scheme=scheme)
    inner.add_special_tokens([AddedToken("</s>", normalized=False)])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="<unk>", eos_token="</s>")
    tokenizer.chat_template = (
        "{% for m in messages %}{{ m.content }}{% if m.role == 'assistant' %}</s>{% else %}\n"
        "{% endif %}{% endfor %}"
    )
    row = make_row(0, "雪</s>落</s>")
    tokens = conversation(tokenizer, row, ChatParams(system_prompt="系统"))
    assert tokenizer.decode(tokens.answer) == "雪</s>落</s></s>"
    assert tokens.answer.tolist().count(tokenizer.eos_token_id) == 1
