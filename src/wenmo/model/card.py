"""The README.md of a trained model, as model hubs read it: a model card.

https://huggingface.co/docs/hub/model-cards
"""

from io import StringIO
from typing import Any, Literal

from ruamel.yaml import YAML

from wenmo.model.provenance import BaseRecord

CARD = "README.md"
"""Its name, by which hubs find it."""

HOME_PAGES = {
    "huggingface": "https://huggingface.co/{name}/tree/{revision}",
    "modelscope": "https://modelscope.cn/models/{name}/files?version={revision}",
}


def model_card(
    task: str,
    base: BaseRecord,
    data_sha256: str,
    parameters: dict[str, Any],
    library: Literal["transformers", "peft"],
    scores: dict[str, Any] | None = None,
) -> str:
    """The card of a task's merged model (`transformers`) or adapter (`peft`).

    `parameters` are sections of params.yaml, `scores` is metrics/<task>.json. The same arguments
    give the same text: no time, no path of this machine. No licence is claimed, since it follows
    from those of the base model and of the texts, which the pipeline does not know.
    """
    from huggingface_hub import ModelCardData

    front_matter = ModelCardData(
        language="zh",
        library_name=library,
        pipeline_tag="text-generation",
        # The hub links this name, so it must be one of its own.
        base_model=base.name if base.source == "huggingface" else None,
        tags=["wenmo", task, "lora"],
    )
    card = f"""---
{front_matter.to_yaml()}
---

# {_model_name(task)}

A language model that writes Chinese ({task}), trained by LoRA with wenmo (文墨).

## Base model

{_origin(base)}

## Training data

sha256 of the training rows: `{data_sha256}`

## Parameters

```yaml
{_as_yaml(parameters)}```
"""
    return add_scores(card, task, scores) if scores else card


def add_scores(card: str, task: str, scores: dict[str, Any]) -> str:
    """A card with the scores on held-out rows added: as model-index for the hub, as a table below.

    `scores` is metrics/<task>.json. https://huggingface.co/docs/hub/model-cards#evaluation-results
    """
    from huggingface_hub import EvalResult, ModelCard

    parsed = ModelCard(card)
    parsed.data["model_name"] = _model_name(task)
    parsed.data["eval_results"] = [
        EvalResult(
            task_type="text-generation",
            dataset_type=f"wenmo-{task}",
            dataset_name=f"{task}, held-out rows",
            metric_type=name,
            metric_value=value,
        )
        for name, value in scores["tuned"].items()
    ]
    parsed.text = parsed.text.rstrip("\n") + "\n\n" + _score_section(scores)
    return str(parsed)


def as_adapter_card(card: str) -> str:
    """The card of the merged model, reworded for the adapter that was merged."""
    from huggingface_hub import ModelCard

    parsed = ModelCard(card)
    parsed.data["library_name"] = "peft"
    return str(parsed)


def hub_base_model(card: str) -> str | None:
    """The base model's name on Hugging Face by the card's front matter, if it is there."""
    from huggingface_hub import ModelCard

    name = ModelCard(card).data.get("base_model")
    return name if isinstance(name, str) else None


def _model_name(task: str) -> str:
    return f"wenmo-{task}"


def _origin(base: BaseRecord) -> str:
    page = HOME_PAGES.get(base.source)
    if page:
        address = page.format(name=base.name, revision=base.revision)
        return f"[{base.name}]({address}), commit `{base.revision}` ({base.source})."
    if base.source == "embedded":
        return f"The embedded base of wenmo, `{base.name}`. sha256 of its files:" + _file_list(base)
    if base.source == "tiny":
        return "The tiny Qwen2 of wenmo's tests. sha256 of its files:" + _file_list(base)
    return f"A folder called `{base.name}`. sha256 of its files:" + _file_list(base)


def _file_list(base: BaseRecord) -> str:
    lines = (f"- `{name}`: `{digest}`" for name, digest in sorted(base.files.items()))
    return "\n\n" + "\n".join(lines)


def _as_yaml(content: dict[str, Any]) -> str:
    # A prompt may be longer than a line; folded it would be hard to read.
    yaml = YAML()
    yaml.width = 4096
    text = StringIO()
    yaml.dump(content, text)
    return text.getvalue()


def _score_section(scores: dict[str, Any]) -> str:
    base, tuned, delta = scores["base"], scores["tuned"], scores["delta"]
    rows = "\n".join(f"| {name} | {base[name]} | {value} |" for name, value in tuned.items())
    return f"""## Scores on held-out rows

| score | base | tuned |
|---|---:|---:|
{rows}

By the score that decides, tuned gains {delta["primary"]} on base (95% interval {delta["ci_low"]} to
{delta["ci_high"]}, p = {delta["p_value"]}).
"""
