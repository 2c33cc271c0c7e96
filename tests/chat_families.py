"""Published chat models as their templates tell them apart, and what is expected of each.

Each entry was written from the published tokenizer_config.json, generation_config.json and chat
template, as public repositories quote them, and not from what wenmo makes of them: it is what that
is held against. tests/test_chat_families.py holds the templates to the published ones.
"""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Family:
    """What a model of one family is published with, and how wenmo is to ask it without thinking.

    The expectation is for the system prompt 系统, the question 问 and the answer 答. A template
    without a system role (Gemma 2's, and Mistral 0.3's once there is an answer) gets the system
    prompt before the question, parted by an empty line, as Gemma 3's own template does it. A date
    in a prompt is 26 Jul 2024.
    """

    template: str
    """tests/chat_templates/<template>.jinja"""
    special_tokens: tuple[str, ...]
    """Control strings that are special tokens: a text decoded without special tokens lacks them."""
    eos_token: str
    """As in tokenizer_config.json."""
    generation_eos_tokens: tuple[str, ...]
    """The tokens of generation_config.json's eos_token_id (config.json's, if that has none)."""
    prompt: str
    """All text before the answer in the conversation, thinking off."""
    end: str
    """The token that follows the answer and that the model is to stop at."""
    bos_token: str | None = None
    plain_tokens: tuple[str, ...] = field(default=(), kw_only=True)
    """Control strings that are one token each, but no special ones: any decoded text shows them."""
    works: Literal[True] | str = True
    """True, or why a model of this family is refused."""


_THINK = ("<think>", "</think>")
_CHATML = ("<|im_start|>", "<|im_end|>", "<|endoftext|>")
_CHATML_PROMPT = (
    "<|im_start|>system\n系统<|im_end|>\n<|im_start|>user\n问<|im_end|>\n<|im_start|>assistant\n"
)
_GLM = ("[gMASK]", "<sop>", "<|system|>", "<|user|>", "<|assistant|>", "<|observation|>")
_GLM_STOPS = ("<|endoftext|>", "<|user|>", "<|observation|>")
_LLAMA = ("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>")
_LLAMA_PROMPT = (
    "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n{date}系统<|eot_id|>"
    "<|start_header_id|>user<|end_header_id|>\n\n问<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\n"
)
_LLAMA_DATE = "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n"
_DEEPSEEK = ("<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>")
_DEEPSEEK_TURNS = ("<｜User｜>", "<｜Assistant｜>")
_GEMMA_PROMPT = "<bos><start_of_turn>user\n系统\n\n问<end_of_turn>\n<start_of_turn>model\n"


def _qwen(template: str, asked: str = "", plain_tokens: tuple[str, ...] = ()) -> Family:
    """Every Qwen since 1.5 ends a turn by <|im_end|> and also stops at <|endoftext|>."""
    return Family(
        template,
        special_tokens=_CHATML,
        plain_tokens=plain_tokens,
        eos_token="<|im_end|>",
        generation_eos_tokens=("<|im_end|>", "<|endoftext|>"),
        prompt=_CHATML_PROMPT + asked,
        end="<|im_end|>",
    )


def _llama(template: str, date: str, *stops: str) -> Family:
    return Family(
        template,
        special_tokens=(*_LLAMA, "<|eot_id|>", *stops),
        bos_token="<|begin_of_text|>",
        eos_token="<|eot_id|>",
        generation_eos_tokens=("<|end_of_text|>", *stops, "<|eot_id|>"),
        prompt=_LLAMA_PROMPT.format(date=date),
        end="<|eot_id|>",
    )


def _gemma(template: str) -> Family:
    return Family(
        template,
        special_tokens=("<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"),
        bos_token="<bos>",
        eos_token="<eos>",
        generation_eos_tokens=("<eos>", "<end_of_turn>"),
        prompt=_GEMMA_PROMPT,
        end="<end_of_turn>",
    )


def _glm(template: str, asked: str, **tokens: tuple[str, ...]) -> Family:
    """GLM writes nothing after an answer, and stops when it begins the user's next turn."""
    return Family(
        template,
        special_tokens=(*_GLM, "<|endoftext|>", *tokens.get("special", ())),
        plain_tokens=tokens.get("plain", ()),
        eos_token="<|endoftext|>",
        generation_eos_tokens=_GLM_STOPS,
        prompt="[gMASK]<sop><|system|>\n系统<|user|>\n问" + asked,
        end="<|user|>",
    )


def _deepseek(template: str, think: tuple[str, ...], asked: str = "") -> Family:
    return Family(
        template,
        special_tokens=_DEEPSEEK,
        plain_tokens=(*_DEEPSEEK_TURNS, *think),
        bos_token="<｜begin▁of▁sentence｜>",
        eos_token="<｜end▁of▁sentence｜>",
        generation_eos_tokens=("<｜end▁of▁sentence｜>",),
        prompt="<｜begin▁of▁sentence｜>系统<｜User｜>问<｜Assistant｜>" + asked,
        end="<｜end▁of▁sentence｜>",
    )


def _mistral(template: str, prompt: str, *marks: str) -> Family:
    return Family(
        template,
        special_tokens=("<s>", "</s>", "[INST]", "[/INST]", *marks),
        bos_token="<s>",
        eos_token="</s>",
        generation_eos_tokens=("</s>",),
        prompt=prompt,
        end="</s>",
    )


_EMPTY_THOUGHT = "<think>\n\n</think>\n\n"

FAMILIES: dict[str, Family] = {
    "qwen1.5-first": _qwen("qwen1.5-first"),
    "qwen1.5": _qwen("qwen1.5"),
    "qwen2": _qwen("qwen2"),
    "qwen2.5": _qwen("qwen2.5"),
    "qwen3": _qwen("qwen3", _EMPTY_THOUGHT, _THINK),
    "qwen3-2507": _qwen("qwen3-2507", plain_tokens=_THINK),
    "qwen3.5": _qwen("qwen3.5", _EMPTY_THOUGHT, _THINK),
    "qwen3.5-small": _qwen("qwen3.5-small", _EMPTY_THOUGHT, _THINK),
    "glm4": _glm("glm4", "<|assistant|>\n"),
    "glm4-moe": _glm(
        "glm4-moe",
        "/nothink<|assistant|>\n<think></think>\n",
        special=("/nothink",),
        plain=_THINK,
    ),
    "gemma2": _gemma("gemma2"),
    "gemma3": _gemma("gemma3"),
    "llama3": _llama("llama3", ""),
    "llama3.1": _llama("llama3.1", _LLAMA_DATE, "<|eom_id|>"),
    "llama3.2": _llama("llama3.2", _LLAMA_DATE, "<|eom_id|>"),
    # Asked, it has the system prompt before the last question; told an answer, it has none at all.
    "mistral-v0.3": _mistral("mistral-v0.3", "<s>[INST] 系统\n\n问[/INST] "),
    "mistral-small": _mistral(
        "mistral-small",
        "<s>[SYSTEM_PROMPT]系统[/SYSTEM_PROMPT][INST]问[/INST]",
        "[SYSTEM_PROMPT]",
        "[/SYSTEM_PROMPT]",
    ),
    # A prompt that asks for an answer opens <think>; the answers of a conversation have none.
    "deepseek-r1": _deepseek("deepseek-r1", _THINK),
    "deepseek-v3": _deepseek("deepseek-v3", ()),
    "deepseek-v3.1": _deepseek("deepseek-v3.1", _THINK, "</think>"),
    "minicpm": Family(
        "minicpm",
        special_tokens=("<s>", "</s>", "<|im_start|>", "<|im_end|>"),
        bos_token="<s>",
        eos_token="<|im_end|>",
        generation_eos_tokens=("</s>", "<|im_end|>"),
        prompt=_CHATML_PROMPT,
        end="<|im_end|>",
    ),
    # Published with config.json's eos_token_id alone, which is <|endoftext|>: it never stops at
    # the end of its turn unless told to (its README passes eos_token_id by hand).
    "yi-1.5": Family(
        "yi-1.5",
        special_tokens=("<|startoftext|>", *_CHATML),
        bos_token="<|startoftext|>",
        eos_token="<|im_end|>",
        generation_eos_tokens=("<|endoftext|>",),
        prompt="系统<|im_start|>user\n问<|im_end|>\n<|im_start|>assistant\n",
        end="<|im_end|>",
    ),
    "internlm2.5": Family(
        "internlm2.5",
        special_tokens=("<s>", "</s>", "<|im_start|>", "<|im_end|>"),
        bos_token="<s>",
        eos_token="</s>",
        generation_eos_tokens=("</s>", "<|im_end|>"),
        prompt="<s>" + _CHATML_PROMPT,
        end="<|im_end|>",
    ),
    "smollm2": Family(
        "smollm2",
        special_tokens=_CHATML,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        generation_eos_tokens=("<|im_end|>",),
        prompt=_CHATML_PROMPT,
        end="<|im_end|>",
    ),
}
