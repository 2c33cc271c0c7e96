"""What a model is trained on is what it is asked: the same tokens, for each published template."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.conftest import make_row
from tests.small_generation import greedy
from tests.small_models import with_template
from wenmo.config.chat import ChatParams
from wenmo.engines.engine import Model, Prompt
from wenmo.engines.transformers import TransformersEngine
from wenmo.model.chat import chat_text, prompt_messages, turns
from wenmo.model.loading import load_model, load_tokenizer
from wenmo.model.loss import held_out_losses

NAMES = ("tiny", "qwen1.5-first", "qwen1.5", "qwen2", "qwen2.5")
DEFAULT_SYSTEM_PROMPTS = ("You are a helpful assistant", "You are Qwen")
CHATS = {
    "a system prompt": ChatParams(system_prompt="你是一位诗人。"),
    "none": ChatParams(system_prompt=""),
}
ROWS = [
    make_row(0, "雪落千山静，风来一叶轻。"),
    make_row(1, "从前有一只小狐狸。\n它住在山里。\n\n第二天……", instruction="写一个童话。"),
    make_row(2, "“走吧。”他说。", instruction="  两边有空格，末尾有换行\n\n"),
    make_row(3, "A fox 🦊 said: “{{ 1 }}”", instruction="写 {% if %} 和 {{ message }}"),
    make_row(4, "龘靐齉：字表里没有的字", instruction="生僻字"),
]


@dataclass(frozen=True)
class Tokens:
    """A row as SFTTrainer has it: all ids, and which of them the loss is taken on."""

    ids: list[int]
    labels: list[int]

    @property
    def prompt(self) -> list[int]:
        return [token for token, label in zip(self.ids, self.labels, strict=True) if label == -100]

    @property
    def learnt(self) -> list[int]:
        return [label for label in self.labels if label != -100]


@pytest.fixture(scope="module", params=NAMES)
def model_folder(
    request: pytest.FixtureRequest, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The tiny model, with its own chat template or another model's."""
    folder = tmp_path_factory.mktemp("model") / request.param
    shutil.copytree(tiny_model, folder)
    if request.param != "tiny":
        with_template(folder, request.param, tiny_model)
    return folder


@pytest.fixture(scope="module", params=CHATS)
def chat(request: pytest.FixtureRequest) -> ChatParams:
    return CHATS[request.param]


@pytest.fixture(scope="module")
def training(
    model_folder: Path, chat: ChatParams, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Tokens]:
    """Row id -> what a real SFTTrainer makes of the row."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    trainer = SFTTrainer(
        model=load_model(model_folder, "fp32"),
        args=SFTConfig(
            output_dir=str(tmp_path_factory.mktemp("trainer")),
            completion_only_loss=True,
            max_length=512,
            use_cpu=True,
            bf16=False,
            report_to="none",
        ),
        train_dataset=Dataset.from_list([turns(row, chat) for row in ROWS]),
        processing_class=load_tokenizer(model_folder),
    )
    made = [Tokens(each["input_ids"], each["labels"]) for each in trainer.train_dataset]
    return {row.id: tokens for row, tokens in zip(ROWS, made, strict=True)}


@pytest.fixture(scope="module")
def asked(model_folder: Path, chat: ChatParams) -> dict[str, list[int]]:
    """Row id -> the ids that the model reads when the engine is asked, less the padding."""
    engine = TransformersEngine(greedy(transformers={"batch_size": 1}))
    model = Model("base", model_folder)
    seen: list[list[int]] = []

    def look(_module: Any, _args: Any, inputs: dict[str, Any]) -> None:
        # The first row of the batch; the others fill it up.
        padding = int((inputs["attention_mask"][0] == 0).sum())
        seen.append(inputs["input_ids"][0, padding:].tolist())

    engine.activate(model).register_forward_pre_hook(look, with_kwargs=True)
    once = greedy(sampling={"max_new_tokens": 1}).sampling
    prompts = {
        row.id: Prompt(prompt_messages(chat.system_prompt, row.prompt), seed=1) for row in ROWS
    }
    found = engine.generate(model, list(prompts.values()), once)
    read = {completion.id: seen[-1] for completion in found}
    assert len(seen) == len(ROWS)
    return {row_id: read[prompt.id] for row_id, prompt in prompts.items()}


@pytest.fixture(scope="module")
def decode(model_folder: Path) -> Callable[[list[int]], str]:
    return load_tokenizer(model_folder).decode


def test_the_prompt_that_is_trained_is_the_prompt_that_is_asked(
    training: dict[str, Tokens], asked: dict[str, list[int]]
) -> None:
    for row in ROWS:
        tokens = training[row.id]
        assert tokens.prompt == asked[row.id]
        assert tokens.ids[: len(asked[row.id])] == asked[row.id]


def test_the_answer_and_its_end_are_learnt(
    training: dict[str, Tokens], model_folder: Path, decode: Callable[[list[int]], str]
) -> None:
    end = load_tokenizer(model_folder).convert_tokens_to_ids("<|im_end|>")
    for row in ROWS:
        learnt = training[row.id].learnt
        assert learnt.count(end) == 1
        assert decode(learnt[: learnt.index(end)]) == row.output


def test_after_the_end_comes_at_most_a_newline(
    training: dict[str, Tokens], decode: Callable[[list[int]], str]
) -> None:
    # Every template but the first of Qwen1.5 closes a turn by <|im_end|> and a newline, and TRL
    # counts the newline as part of the completion: one token a row whose loss soon is nothing.
    for row in ROWS:
        after = decode(training[row.id].learnt).split("<|im_end|>")[1]
        assert after in ("", "\n")


def test_no_default_system_prompt_is_ever_said(
    training: dict[str, Tokens], asked: dict[str, list[int]], decode: Callable[[list[int]], str]
) -> None:
    for row in ROWS:
        for text in (decode(training[row.id].ids), decode(asked[row.id])):
            assert not any(default in text for default in DEFAULT_SYSTEM_PROMPTS)
            assert text.count("<|im_start|>system\n") == 1


def test_the_held_out_loss_is_that_of_the_training_tokens_up_to_the_end(
    training: dict[str, Tokens], model_folder: Path, chat: ChatParams
) -> None:
    model, tokenizer = load_model(model_folder, "fp32"), load_tokenizer(model_folder)
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    expected = [loss_to_end(model, training[row.id], end) / len(row.output) for row in ROWS]
    measured = [
        each.loss_per_character
        for each in held_out_losses(model_folder, ROWS, chat, "fp32", "contract")
    ]
    assert measured == pytest.approx(expected, rel=1e-5)


def loss_to_end(model: Any, tokens: Tokens, end: int) -> float:
    """Nats of the learnt tokens up to the end of the answer."""
    stop = len(tokens.prompt) + tokens.learnt.index(end) + 1
    ids = torch.tensor([tokens.ids[:stop]])
    labels = torch.tensor([tokens.labels[:stop]])
    with torch.inference_mode():
        loss = model(input_ids=ids, labels=labels).loss
    return loss.item() * (stop - len(tokens.prompt))


def test_each_template_speaks_by_default_as_its_model_does(
    tiny_model: Path, tmp_path: Path
) -> None:
    """Otherwise the tests above would prove nothing about default system prompts."""
    defaults = {
        "qwen1.5-first": "You are a helpful assistant<",
        "qwen1.5": "You are a helpful assistant.<",
        "qwen2": "You are a helpful assistant.<",
        "qwen2.5": "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.<",
    }
    for name, default in defaults.items():
        tokenizer = with_template(tmp_path / name, name, tiny_model)
        text = chat_text(tokenizer, [{"role": "user", "content": "你好"}])
        assert text == (
            f"<|im_start|>system\n{default}|im_end|>\n<|im_start|>user\n你好<|im_end|>\n"
            "<|im_start|>assistant\n"
        )


FUNCTION = {"name": "look_up", "arguments": {"poem": "静夜思"}}
TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}
CONVERSATIONS: dict[str, list[dict[str, Any]]] = {
    "no system": [{"role": "user", "content": "你好"}],
    "system": prompt_messages("你是诗人。", "写一首诗。"),
    "answered": [*prompt_messages("你是诗人。", "写。"), {"role": "assistant", "content": "好。"}],
    "system later": [{"role": "user", "content": "你好"}, {"role": "system", "content": "改口"}],
    "tools": [
        {"role": "user", "content": "查两首"},
        {
            "role": "assistant",
            "content": "这就查",
            "tool_calls": [{"function": FUNCTION}, FUNCTION],
        },
        {"role": "tool", "content": "床前明月光"},
        {"role": "tool", "content": "疑是地上霜"},
        {"role": "assistant", "content": "查到了"},
        {"role": "user", "content": "再查"},
        {"role": "assistant", "content": "", "tool_calls": [FUNCTION]},
        {"role": "tool", "content": "举头望明月"},
    ],
}


@pytest.mark.parametrize("conversation", CONVERSATIONS)
@pytest.mark.parametrize("tools", [None, [TOOL]], ids=["", "tools"])
def test_our_qwen25_template_is_the_one_that_trl_knows(
    conversation: str, tools: list[dict[str, Any]] | None, tiny_model: Path, tmp_path: Path
) -> None:
    from trl.chat_template_utils import qwen2_5_chat_template

    tokenizer = with_template(tmp_path / "q", "qwen2.5", tiny_model)
    for ask in (True, False):
        texts = [
            tokenizer.apply_chat_template(
                CONVERSATIONS[conversation],
                tools=tools,
                chat_template=template,
                add_generation_prompt=ask,
                tokenize=False,
            )
            for template in (tokenizer.chat_template, qwen2_5_chat_template)
        ]
        assert texts[0] == texts[1]


def test_a_repaired_template_is_saved_and_asks_as_before(tiny_model: Path, tmp_path: Path) -> None:
    original = with_template(tmp_path / "base", "qwen1.5-first", tiny_model)
    load_tokenizer(tmp_path / "base").save_pretrained(tmp_path / "merged")
    repaired = load_tokenizer(tmp_path / "merged")
    messages = prompt_messages("你是诗人。", "写一首诗。")
    assert chat_text(repaired, messages) == chat_text(original, messages)
    whole = [*messages, {"role": "assistant", "content": "好。"}]
    texts = [each.apply_chat_template(whole, tokenize=False) for each in (original, repaired)]
    assert texts[1] == texts[0] + "<|im_end|>"


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("tiny", "qwen1.5-first")])
def test_a_template_that_closes_its_answers_is_left_alone(
    name: str, tiny_model: Path, tmp_path: Path
) -> None:
    original = with_template(tmp_path, name, tiny_model)
    assert load_tokenizer(tmp_path).chat_template == original.chat_template
