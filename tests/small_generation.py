"""Generation of seconds: section `generate` of params.yaml made small, and short prompts."""

from collections.abc import Sequence
from typing import Any

from tests.conftest import ROOT
from wenmo.config import params_file
from wenmo.config.generate import GenerateParams, Sampling
from wenmo.config.params_file import deep_merge
from wenmo.engines.engine import Completion, Engine, Model, Prompt, prompt_seed
from wenmo.model.chat import prompt_messages


def settings(url: str = "", **update: Any) -> GenerateParams:
    """Section generate of params.yaml, made small.

    `url` is the address of the openai engine, and `fields` are keys of that endpoint's entry.
    """
    fields = update.pop("fields", {})
    small = {"sampling": {"max_new_tokens": 24, "temperature": 0.8, "top_p": 0.9, "top_k": 50}}
    content = params_file.read(ROOT / "params.yaml")
    content["generate"] = deep_merge(deep_merge(content["generate"], small), update)
    if url:
        entry = content["endpoints"][content["generate"]["openai"]["endpoint"]]
        entry |= {"base_url": url, **fields}
    return params_file.section(GenerateParams, content, "generate")


def greedy(**update: Any) -> GenerateParams:
    """The same with greedy decoding."""
    return settings(**deep_merge({"sampling": {"temperature": 0.0}}, update))


def prompts(count: int, seed: int = 1) -> list[Prompt]:
    """Prompts of different lengths, each with a seed of its own."""
    return [
        Prompt(
            prompt_messages("你是一位诗人。", f"写第{n}首{'很' * (n * 7 % 40)}长的诗。"),
            prompt_seed(seed, str(n)),
        )
        for n in range(count)
    ]


def completions(
    engine: Engine, model: Model, asked: Sequence[Prompt], sampling: Sampling
) -> dict[str, Completion]:
    """The completion of each prompt, by the prompts' ids, in order of completion."""
    return {each.id: each for each in engine.generate(model, asked, sampling)}
