"""The templates of tests/chat_templates write what the published ones write."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from tests.chat_families import FAMILIES
from tests.small_models import TEMPLATES

Conversation = list[dict[str, str]]

PUBLISHED = [
    ("qwen2.5", "qwen2_5"),
    ("qwen3", "qwen3"),
    ("qwen3-2507", "qwen3_instruct_2507"),
    ("qwen3.5", "qwen3_5_think"),
    ("qwen3.5-small", "qwen3_5_nothink"),
    ("glm4-moe", "glm4moe"),
    ("gemma2", "gemma"),
    ("gemma3", "gemma3"),
    ("llama3", "llama3"),
    ("llama3.1", "llama3_1"),
    ("llama3.2", "llama3_2"),
    ("deepseek-r1", "deepseek_r1_distill"),
    # TRL calls it V3's, but it opens <think> as R1's does; V3's own is in WRITTEN below.
    ("deepseek-r1", "deepseekv3"),
]
"""A family, and the file in which TRL ships its published template."""


def conversation(*turns: tuple[str, str]) -> Conversation:
    return [{"role": role, "content": content} for role, content in turns]


SYSTEM, QUESTION, ANSWER = ("system", "系统"), ("user", "问"), ("assistant", "答")
AGAIN = ("user", "再问")
THOUGHT = ("assistant", "<think>\n想\n</think>\n\n答\n")
ASKED = conversation(SYSTEM, QUESTION)
ANSWERED = conversation(SYSTEM, QUESTION, ANSWER)
ASKED_AGAIN = conversation(SYSTEM, QUESTION, ANSWER, AGAIN)

CONVERSATIONS: dict[str, Conversation] = {
    "system": ASKED,
    "no system": conversation(QUESTION),
    "answered": ANSWERED,
    "answered, no system": conversation(QUESTION, ANSWER),
    "asked again": ASKED_AGAIN,
    "two turns": [*ASKED_AGAIN, *conversation(("assistant", "再答"))],
    "white space": conversation(
        ("system", " 系统\n"), ("user", "\n问 "), ("assistant", "\n 答\n\n"), ("user", " 再问\n")
    ),
    "white space at the end": conversation(QUESTION, ("assistant", "\n 答\n\n")),
    "thought": conversation(QUESTION, THOUGHT),
    "thought before": conversation(QUESTION, THOUGHT, AGAIN),
    "thought told apart": [
        *conversation(QUESTION),
        {"role": "assistant", "content": "答", "reasoning_content": "\n想\n"},
    ],
    "two questions": conversation(QUESTION, AGAIN),
    "two answers": conversation(QUESTION, ANSWER, ANSWER),
    "answer first": conversation(ANSWER, QUESTION),
    "system alone": conversation(SYSTEM),
    "system later": conversation(QUESTION, SYSTEM),
}
SWITCHES: dict[str, dict[str, Any]] = {
    "absent": {},
    "on": {"enable_thinking": True, "thinking": True},
    "off": {"enable_thinking": False, "thinking": False},
}


OFF = SWITCHES["off"]


def today(form: str) -> str:
    """26 Jul 2024, in the forms that templates ask for."""
    return {"%d %b %Y": "26 Jul 2024", "%Y-%m-%d": "2024-07-26"}[form]


def bare_tokenizer(family: str) -> Any:
    """A tokenizer that knows the family's bos and eos tokens and nothing else."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel({"?": 0}, unk_token="?")),
        bos_token=FAMILIES[family].bos_token,
        eos_token=FAMILIES[family].eos_token,
    )


def ours(family: str) -> str:
    return (TEMPLATES / f"{FAMILIES[family].template}.jinja").read_text(encoding="utf-8")


def published(file: str) -> str:
    trl = importlib.util.find_spec("trl")
    assert trl is not None and trl.submodule_search_locations
    folder = Path(trl.submodule_search_locations[0]) / "chat_templates"
    return (folder / f"{file}.jinja").read_text(encoding="utf-8")


def render(family: str, template: str, messages: Conversation, **given: Any) -> str:
    """What the template writes, or why it refuses."""
    from jinja2 import TemplateError

    given = {"add_generation_prompt": False, "strftime_now": today, **given}
    try:
        return str(
            bare_tokenizer(family).apply_chat_template(
                messages, chat_template=template, tokenize=False, **given
            )
        )
    except TemplateError as refusal:
        return f"refused: {refusal}"


@pytest.mark.parametrize(("family", "file"), PUBLISHED)
@pytest.mark.parametrize("switch", SWITCHES)
@pytest.mark.parametrize("ask", [True, False], ids=["asked", "told"])
def test_a_template_writes_what_the_published_one_writes(
    family: str, file: str, switch: str, ask: bool
) -> None:
    given = {"add_generation_prompt": ask, **SWITCHES[switch]}
    for name, messages in CONVERSATIONS.items():
        expected = render(family, published(file), messages, **given)
        assert render(family, ours(family), messages, **given) == expected, name


def test_a_date_may_be_told() -> None:
    for family, file in (("llama3.1", "llama3_1"), ("llama3.2", "llama3_2")):
        texts = [
            render(family, template, ASKED, date_string="1 Jan 2020")
            for template in (ours(family), published(file))
        ]
        assert "Today Date: 1 Jan 2020\n" in texts[0]
        assert texts[0] == texts[1]


CHATML = (
    "<|im_start|>system\n系统<|im_end|>\n<|im_start|>user\n问<|im_end|>\n<|im_start|>assistant\n"
)
CHATML_ALONE = "<|im_start|>user\n问<|im_end|>\n<|im_start|>assistant\n"
CHATML_AGAIN = "<|im_start|>user\n再问<|im_end|>\n<|im_start|>assistant\n"
DEEPSEEK = "<｜begin▁of▁sentence｜>系统<｜User｜>问<｜Assistant｜>"
DEEPSEEK_ALONE = "<｜begin▁of▁sentence｜><｜User｜>问<｜Assistant｜>"
DEEPSEEK_AGAIN = "<｜end▁of▁sentence｜><｜User｜>再问<｜Assistant｜>"
MISTRAL_SMALL = "<s>[SYSTEM_PROMPT]系统[/SYSTEM_PROMPT][INST]问[/INST]"
MISTRAL_DEFAULT = (
    "You are Mistral Small 3, a Large Language Model (LLM) created by Mistral AI, a French startup "
    "headquartered in Paris.\nYour knowledge base was last updated on 2023-10-01. "
    "The current date is 2024-07-26."
)
GLM = "[gMASK]<sop><|system|>\n系统<|user|>\n问<|assistant|>"
SMOLLM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"

WRITTEN: dict[str, tuple[str, str, str, str]] = {
    # chat_template of THUDM/glm-4-9b-chat-hf, as quoted in glm4-chat of xorbitsai/inference's
    # llm_family.json and, for ollama's glm4:9b, in huggingface.js's chat-template-automap.ts.
    "glm4": (
        GLM,
        "[gMASK]<sop><|user|>\n问<|assistant|>",
        GLM + "\n答",
        GLM + "\n答<|user|>\n再问<|assistant|>",
    ),
    # tokenizer_config.json of mistralai/Mistral-7B-Instruct-v0.3, as quoted in
    # mistral-instruct-v0.3 of xorbitsai/inference's llm_family.json.
    "mistral-v0.3": (
        "<s>[INST] 系统\n\n问[/INST]",
        "<s>[INST] 问[/INST]",
        "<s>[INST] 问[/INST] 答</s>",
        "<s>[INST] 问[/INST] 答</s>[INST] 系统\n\n再问[/INST]",
    ),
    # transformers' tests of Mistral 3's processor quote Mistral-Small-3.1-24B-Instruct-2503's.
    "mistral-small": (
        MISTRAL_SMALL,
        f"<s>[SYSTEM_PROMPT]{MISTRAL_DEFAULT}[/SYSTEM_PROMPT][INST]问[/INST]",
        MISTRAL_SMALL + "答</s>",
        MISTRAL_SMALL + "答</s>[INST]再问[/INST]",
    ),
    # ollama's deepseek-v3:671b in huggingface.js's chat-template-automap.ts.
    "deepseek-v3": (
        DEEPSEEK,
        DEEPSEEK_ALONE,
        DEEPSEEK + "答<｜end▁of▁sentence｜>",
        DEEPSEEK + "答" + DEEPSEEK_AGAIN,
    ),
    # ollama's deepseek-v3.1 in the same file; llama.cpp's deepseek-ai-DeepSeek-V3.1.jinja.
    "deepseek-v3.1": (
        DEEPSEEK + "</think>",
        DEEPSEEK_ALONE + "</think>",
        DEEPSEEK + "</think>答<｜end▁of▁sentence｜>",
        DEEPSEEK + "</think>答" + DEEPSEEK_AGAIN + "</think>",
    ),
    # minicpm4 of xorbitsai/inference's llm_family.json; for MiniCPM3-4B, huggingface.js's
    # packages/jinja/test/e2e.test.js.
    "minicpm": (
        CHATML,
        CHATML_ALONE,
        CHATML + "答<|im_end|>\n",
        CHATML + "答<|im_end|>\n" + CHATML_AGAIN,
    ),
    # Yi-1.5-chat of xorbitsai/inference's llm_family.json.
    "yi-1.5": (
        "系统" + CHATML_ALONE,
        CHATML_ALONE,
        "系统" + CHATML_ALONE + "答<|im_end|>\n",
        "系统" + CHATML_ALONE + "答<|im_end|>\n" + CHATML_AGAIN,
    ),
    # A published tokenizer_config.json of InternLM2's tokenizer, and ollama's internlm2:1.8b in
    # huggingface.js's chat-template-automap.ts.
    "internlm2.5": (
        "<s>" + CHATML,
        "<s>" + CHATML_ALONE,
        "<s>" + CHATML + "答<|im_end|>\n",
        "<s>" + CHATML + "答<|im_end|>\n" + CHATML_AGAIN,
    ),
    # ollama's smollm2:135m in huggingface.js's chat-template-automap.ts.
    "smollm2": (
        CHATML,
        f"<|im_start|>system\n{SMOLLM}<|im_end|>\n" + CHATML_ALONE,
        CHATML + "答<|im_end|>\n",
        CHATML + "答<|im_end|>\n" + CHATML_AGAIN,
    ),
}
"""Family -> asked with a system prompt, asked without, answered, asked again."""


@pytest.mark.parametrize("family", WRITTEN)
def test_a_template_writes_what_its_source_writes(family: str) -> None:
    asked, alone, answered, again = WRITTEN[family]
    template = ours(family)
    assert render(family, template, ASKED, add_generation_prompt=True) == asked
    assert render(family, template, conversation(QUESTION), add_generation_prompt=True) == alone
    assert render(family, template, ANSWERED) == answered
    assert render(family, template, ASKED_AGAIN, add_generation_prompt=True) == again


def test_deepseek_v31_thinks_where_it_is_told_to() -> None:
    template = ours("deepseek-v3.1")
    asked = render("deepseek-v3.1", template, ASKED, add_generation_prompt=True, thinking=True)
    assert asked == DEEPSEEK + "<think>"
    thought = conversation(QUESTION, THOUGHT)
    told = render("deepseek-v3.1", template, thought)
    assert told == DEEPSEEK_ALONE + "</think>\n\n答\n<｜end▁of▁sentence｜>"


def test_mistral_v03_refuses_roles_that_do_not_alternate() -> None:
    for messages in (conversation(QUESTION, AGAIN), conversation(QUESTION, SYSTEM)):
        assert "refused: " in render("mistral-v0.3", ours("mistral-v0.3"), messages)


FOLDED = conversation(("user", "系统\n\n问"))


def has_system_role(family: str) -> bool:
    """Gemma 2 refuses the role, and Mistral 0.3 drops what it said once there is an answer."""
    told = render(family, ours(family), ANSWERED)
    return "refused: " not in told and "系统" in told


def test_two_families_have_no_system_role_to_be_trained_with() -> None:
    assert {name for name in FAMILIES if not has_system_role(name)} == {"gemma2", "mistral-v0.3"}


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_expected_of_a_family_is_its_template_s_text(family: str) -> None:
    expected, template = FAMILIES[family], ours(family)
    answered = [*(ASKED if has_system_role(family) else FOLDED), *conversation(ANSWER)]
    assert render(family, template, answered, **OFF).startswith(expected.prompt + "答")
    # The first template of Qwen1.5 and GLM's say no end before there is a next turn.
    again = render(family, template, [*answered, *conversation(AGAIN)], **OFF)
    assert f"答{expected.end}" in again


@pytest.mark.parametrize("family", FAMILIES)
def test_a_model_is_asked_up_to_its_answer_but_for_white_space(family: str) -> None:
    asked_for = ASKED if has_system_role(family) else FOLDED
    asked = render(family, ours(family), asked_for, add_generation_prompt=True, **OFF)
    if family == "deepseek-r1":
        assert asked == FAMILIES[family].prompt + "<think>\n"
    else:
        between = {"glm4": "\n", "glm4-moe": "\n", "mistral-v0.3": " "}.get(family, "")
        assert FAMILIES[family].prompt == asked + between


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_s_tokens_are_those_that_its_template_writes(family: str) -> None:
    expected = FAMILIES[family]
    known = {*expected.special_tokens, *expected.plain_tokens}
    assert {expected.end, expected.eos_token, *expected.generation_eos_tokens} <= known
    assert expected.bos_token is None or expected.bos_token in known
    rest = expected.prompt
    for token in known:
        rest = rest.replace(token, "")
    assert not any(mark in rest for mark in "<>[]｜/")
