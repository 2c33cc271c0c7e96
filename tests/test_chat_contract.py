"""What a model is trained on is what it is asked, for each family of published chat models.

Each family's model goes through base_model as a user's own folder does. The expectations are those
of tests/chat_families.py, which were written from the published files.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.chat_families import FAMILIES, Family
from tests.conftest import ROOT, make_row
from tests.small_generation import greedy
from tests.small_models import family_model, with_template
from wenmo.config.base_model import BaseModelParams
from wenmo.config.chat import ChatParams
from wenmo.core.errors import UserError
from wenmo.engines.engine import Model, Prompt
from wenmo.engines.transformers import TransformersEngine
from wenmo.model.base import provide
from wenmo.model.chat import (
    chat_text,
    conversation,
    end_token,
    prompt_ids,
    prompt_messages,
    render,
)
from wenmo.model.contract import Pieces, template_of
from wenmo.model.loading import end_tokens, load_model, load_tokenizer
from wenmo.model.loss import held_out_losses
from wenmo.model.tokenized_rows import conversations, labelled
from wenmo.model.turns import every_answer, joined

TAGS = ("<think", "</think", "<|im_start|>", "<|assistant|>", "<start_of_turn>")
DEFAULT_SYSTEM_PROMPTS = ("You are a helpful", "You are Qwen", "You are Mistral", "Large Language")
CHAT = ChatParams(system_prompt="你是一位诗人。")
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


def as_base(folder: Path, published: Path, tiny: Any) -> Path:
    """A published model's folder after base_model."""
    params = BaseModelParams(
        source="path",
        name="",
        revision="",
        path=str(published),
        template_kwargs={},
        tuning_learning_rate=1e-3,
        tiny=tiny,
    )
    provide(folder, params, seed=1)
    return folder


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest) -> Family:
    return FAMILIES[request.param]


@pytest.fixture(scope="module")
def base(
    family: Family, tiny_model: Path, tiny_params: Any, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("family")
    return as_base(folder / "base", family_model(folder / "own", family, tiny_model), tiny_params)


@pytest.fixture(scope="module")
def training(base: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tokens]:
    """Row id -> what a real SFTTrainer has of the row."""
    from trl import SFTConfig, SFTTrainer

    tokenizer, folder = load_tokenizer(base), tmp_path_factory.mktemp("trainer")
    trainer = SFTTrainer(
        model=load_model(base, "fp32"),
        args=SFTConfig(
            output_dir=str(folder),
            completion_only_loss=True,
            max_length=512,
            use_cpu=True,
            bf16=False,
            report_to="none",
        ),
        train_dataset=labelled(conversations(ROWS, tokenizer, CHAT), folder / "rows"),
        processing_class=tokenizer,
    )
    made = [Tokens(each["input_ids"], each["labels"]) for each in trainer.train_dataset]
    return {row.id: tokens for row, tokens in zip(ROWS, made, strict=True)}


@pytest.fixture(scope="module")
def asked(base: Path) -> dict[str, list[int]]:
    """Row id -> the ids that the model reads when the engine is asked, less the padding."""
    engine = TransformersEngine(greedy(transformers={"batch_size": 1}))
    model = Model("base", base)
    seen: list[list[int]] = []

    def look(_module: Any, _args: Any, inputs: dict[str, Any]) -> None:
        # The first row of the batch; the others fill it up.
        padding = int((inputs["attention_mask"][0] == 0).sum())
        seen.append(inputs["input_ids"][0, padding:].tolist())

    engine.activate(model).register_forward_pre_hook(look, with_kwargs=True)
    once = greedy(sampling={"max_new_tokens": 1}).sampling
    prompts = {
        row.id: Prompt(prompt_messages(CHAT.system_prompt, row.prompt), seed=1) for row in ROWS
    }
    found = engine.generate(model, list(prompts.values()), once)
    read = {completion.id: seen[-1] for completion in found}
    assert len(seen) == len(ROWS)
    return {row_id: read[prompt.id] for row_id, prompt in prompts.items()}


@pytest.fixture(scope="module")
def decode(base: Path) -> Callable[[list[int]], str]:
    return load_tokenizer(base).decode


def test_a_prompt_is_asked_as_the_family_words_it_without_thinking(
    base: Path, family: Family
) -> None:
    assert chat_text(load_tokenizer(base), prompt_messages("系统", "问")) == family.prompt


def test_an_answer_ends_as_the_family_ends_it_and_every_engine_stops_there(
    base: Path, family: Family
) -> None:
    tokenizer = load_tokenizer(base)
    assert tokenizer.convert_ids_to_tokens(end_token(tokenizer)) == family.end
    ends = {*family.generation_eos_tokens, family.eos_token, family.end}
    assert end_tokens(base) >= {end_token(tokenizer)}
    assert {*tokenizer.convert_ids_to_tokens(sorted(end_tokens(base)))} <= ends


def test_the_record_says_what_was_found(base: Path, family: Family) -> None:
    chat = json.loads((base / "wenmo.json").read_text())["chat"]
    assert chat["end"] == family.end
    kept = (base / "chat_template.jinja").read_text() == family_template(family)
    assert (chat["change"] == "") == kept


def family_template(family: Family) -> str:
    return (Path(__file__).parent / f"chat_templates/{family.template}.jinja").read_text()


def test_the_documentation_says_what_was_found(base: Path, family: Family) -> None:
    name = next(name for name, each in FAMILIES.items() if each is family)
    page = (ROOT / "docs/training.md").read_text(encoding="utf-8").replace("\\|", "¦")
    row = next(line for line in page.splitlines() if line.startswith(f"| {name} |"))
    _, _, _, template, end, _ = (cell.strip(" `").replace("¦", "|") for cell in row.split("|"))
    assert end == family.end
    change = json.loads((base / "wenmo.json").read_text())["chat"]["change"] or "as published"
    assert template.replace("`", "").startswith(change.partition(":")[0])


def test_the_prompt_that_is_trained_is_the_prompt_that_is_asked(
    training: dict[str, Tokens], asked: dict[str, list[int]]
) -> None:
    for row in ROWS:
        tokens = training[row.id]
        assert tokens.prompt == asked[row.id]
        assert tokens.ids[: len(asked[row.id])] == asked[row.id]


def test_the_answer_and_its_end_are_learnt_and_no_tag(
    training: dict[str, Tokens], base: Path, decode: Callable[[list[int]], str]
) -> None:
    end = end_token(load_tokenizer(base))
    for row in ROWS:
        learnt = training[row.id].learnt
        assert learnt.count(end) == 1
        assert decode(learnt[: learnt.index(end)]) == row.output
        # Most templates close a turn by a newline after its end, one more token to learn per row.
        assert decode(learnt[learnt.index(end) + 1 :]) in ("", "\n")
        assert not any(tag in decode(learnt) for tag in TAGS)


QUOTED = [
    "他写下{}，走了。",
    "{}",
    "{0}{0}",
    "<{}>\n第二行",
    "雪{}\n",
]


@pytest.mark.parametrize("text", QUOTED)
def test_control_tokens_within_a_message_are_text(base: Path, family: Family, text: str) -> None:
    tokenizer = load_tokenizer(base)
    control = {
        at for at, token in tokenizer.added_tokens_decoder.items() if len(token.content.strip()) > 1
    } - set(tokenizer.convert_tokens_to_ids(list(TAGS[:2])))
    plain = conversation(tokenizer, replace(make_row(0, "雪落了。"), input="写雪。"), CHAT)
    expected = [each for each in plain.prompt.tolist() if each in control]
    for token in (*family.special_tokens, family.end, family.eos_token):
        quoted = text.format(token)
        row = replace(make_row(0, quoted), input=quoted, history=((quoted, quoted),))
        tokens = conversation(tokenizer, replace(row, history=()), CHAT)
        assert [each for each in tokens.prompt.tolist() if each in control] == expected
        closing = [each for each in tokens.answer.tolist() if each in control]
        assert closing == [each for each in plain.answer.tolist() if each in control]
        assert quoted.strip() in tokenizer.decode(tokens.prompt)
        assert quoted.strip() in tokenizer.decode(tokens.answer)
        (asked,) = prompt_ids(tokenizer, [prompt_messages(CHAT.system_prompt, row.prompt)])
        assert asked == tokens.prompt.tolist()
        longer = conversation(tokenizer, row, ChatParams(system_prompt=quoted))
        neutral = replace(row, input="写。", output="雪。", history=(("问", "答"),))
        assert sum(each in control for each in longer.prompt.tolist()) == sum(
            each in control for each in conversation(tokenizer, neutral, CHAT).prompt.tolist()
        )


def test_no_default_system_prompt_and_no_day_is_ever_said(base: Path) -> None:
    tokenizer = load_tokenizer(base)
    for system in (CHAT.system_prompt, ""):
        text = chat_text(tokenizer, prompt_messages(system, "写雪。"))
        assert f"{datetime.now():%Y}" not in text
        assert not any(default in text for default in DEFAULT_SYSTEM_PROMPTS)


def test_the_held_out_loss_is_that_of_the_training_tokens_up_to_the_end(
    training: dict[str, Tokens], base: Path
) -> None:
    model, end = load_model(base, "fp32"), end_token(load_tokenizer(base))
    expected = [loss_to_end(model, training[row.id], end) / len(row.output) for row in ROWS]
    losses = held_out_losses(base, ROWS, CHAT, "fp32", "contract")
    assert [each.loss_per_character for each in losses] == pytest.approx(expected, rel=1e-5)


def loss_to_end(model: Any, tokens: Tokens, end: int) -> float:
    """Nats of the learnt tokens up to the end of the answer."""
    stop = len(tokens.prompt) + tokens.learnt.index(end) + 1
    ids = torch.tensor([tokens.ids[:stop]])
    labels = torch.tensor([tokens.labels[:stop]])
    with torch.inference_mode():
        loss = model(input_ids=ids, labels=labels).loss
    return loss.item() * (stop - len(tokens.prompt))


DIALOGUE = replace(
    make_row(0, "风停了。", instruction="再写一句。"),
    history=(("写雪。", "雪落千山静。\n山白了。"), ("接着写。", " 风来一叶轻。\n")),
)
PARTED = {"qwen3", "qwen3.5", "qwen3.5-small"}
"""Families whose template words an answer differently once another one follows."""


def spans(row: Any) -> list[tuple[list[int], list[int]]]:
    """What is learnt of a row as SFTTrainer gets it: each answer's ids after those before it."""
    ids, labels, found = row["input_ids"], row["labels"], []
    for at, label in enumerate(labels):
        if label != -100 and (at == 0 or labels[at - 1] == -100):
            end = next((n for n in range(at, len(ids)) if labels[n] == -100), len(ids))
            found.append((ids[:at], ids[at:end]))
    return found


def test_every_answer_of_several_turns_is_learnt_after_what_is_asked_there(
    base: Path, family: Family, tmp_path: Path
) -> None:
    tokenizer = load_tokenizer(base)
    rows = labelled(
        conversations([DIALOGUE], tokenizer, CHAT, mask_history=False), tmp_path / "rows"
    )
    learnt = [span for row in rows for span in spans(row)]
    turns = [*DIALOGUE.history, (DIALOGUE.prompt, DIALOGUE.output)]
    asked = prompt_ids(
        tokenizer,
        [prompt_messages(CHAT.system_prompt, turns[at][0], turns[:at]) for at in range(3)],
    )
    end = end_token(tokenizer)
    for (before, answer), expected, (_, text) in zip(learnt, asked, turns, strict=True):
        assert before == expected
        assert tokenizer.decode(answer[: answer.index(end)]).strip() == text.strip()
    assert len(rows) == (3 if family.template in PARTED else 1)


def test_the_last_answer_alone_is_learnt_where_the_history_is_masked(
    base: Path, tmp_path: Path
) -> None:
    tokenizer = load_tokenizer(base)
    (alone,) = labelled(conversations([DIALOGUE], tokenizer, CHAT), tmp_path / "alone")
    every = labelled(
        conversations([DIALOGUE], tokenizer, CHAT, mask_history=False), tmp_path / "every"
    )
    assert spans(alone) == [[span for row in every for span in spans(row)][-1]]


def test_the_loss_on_every_answer_is_that_of_each_one_asked_alone(
    base: Path, tmp_path: Path
) -> None:
    model, tokenizer = load_model(base, "fp32"), load_tokenizer(base)
    each = [conversation(tokenizer, row, CHAT) for row in every_answer(DIALOGUE)]
    expected = sum(nats(model, row) for row in labelled(each, tmp_path / "each"))
    found = sum(nats(model, row) for row in labelled(joined(each), tmp_path / "joined"))
    assert found == pytest.approx(expected, rel=1e-5)


def nats(model: Any, row: Any) -> float:
    ids, labels = torch.tensor([row["input_ids"]]), torch.tensor([row["labels"]])
    with torch.inference_mode():
        return model(input_ids=ids, labels=labels).loss.item() * int((labels != -100).sum())


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


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(
    pieces=st.builds(Pieces, TEXTS, TEXTS, TEXTS, TEXTS, TEXTS, st.booleans()),
    messages=st.lists(TEXTS, min_size=4, max_size=4),
)
def test_a_template_that_is_written_anew_writes_its_pieces(
    pieces: Pieces, messages: list[str], plain_tokenizer: Any
) -> None:
    system, prompt, answer, again = messages
    plain_tokenizer.chat_template = template_of(pieces)
    told = [*prompt_messages(system, prompt), {"role": "assistant", "content": answer}]
    before = pieces.prompt(system, prompt)
    assert render(plain_tokenizer, told[:2], ask=True) == before
    assert render(plain_tokenizer, told) == before + answer + pieces.answer_closing
    longer = [*told, {"role": "user", "content": again}]
    asked = before + answer + pieces.next_prompt + again + pieces.answer_opening
    assert render(plain_tokenizer, longer, ask=True) == asked


@pytest.fixture(scope="module")
def plain_tokenizer(tiny_model: Path) -> Any:
    return load_tokenizer(tiny_model)


CHATML = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
REFUSED = {
    "": "no chat template; choose a chat or instruct model, or put a chat_template.jinja beside",
    "{{ messages": "it words no conversation: ",
    "{{ 1 / 0 }}": "it words no conversation: division by zero",
    "{{ raise_exception('no chats') }}": "it words no conversation: no chats",
    CHATML.replace("m.content", "m.content[:3]"): "it alters a conversation: ",
    CHATML.replace("m.content", "m.content | upper"): "it alters a conversation: ",
    CHATML.replace("m.content", "m.content * 2"): "it writes a message twice",
    CHATML.replace("m.content", "m.role"): "it leaves out a message",
    CHATML.replace("in messages", "in messages[::-1]"): "it changes the order of the messages",
}


@pytest.mark.parametrize("template", REFUSED)
def test_a_template_that_cannot_be_used_is_refused_by_base_model(
    tiny_model: Path, tiny_params: Any, tmp_path: Path, template: str
) -> None:
    with_template(tmp_path / "own", "qwen2", tiny_model)
    for name in ("config.json", "model.safetensors"):
        shutil.copy2(tiny_model / name, tmp_path / "own")
    (tmp_path / "own/chat_template.jinja").write_text(template)
    with pytest.raises(UserError) as refused:
        as_base(tmp_path / "base", tmp_path / "own", tiny_params)
    assert str(refused.value).startswith(f"base_model.path: {tmp_path / 'own'}: ")
    assert REFUSED[template] in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "base").exists()
