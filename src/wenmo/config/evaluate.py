"""Section `evaluate.judge`: which LLM compares base and tuned, by what, and in which words."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import Field, model_validator

from wenmo.config.endpoints import Asking, Endpoint, Endpoints
from wenmo.config.params_file import PARAMS_FILE, PositiveInt, Section, section
from wenmo.core.errors import ParamsError

NONE = "none"


class JudgeWording(Section):
    """What is said to the judge; `{rubric}` stands for the task's, `{fault}` for what was wrong."""

    system: str
    question: str
    again: str


class JudgeParams(Asking):
    """Section `evaluate.judge`."""

    endpoint: str
    rubric: str = Field(min_length=1)
    wording: JudgeWording
    temperature: float = Field(ge=0)
    max_tokens: PositiveInt
    max_attempts: PositiveInt

    @model_validator(mode="after")
    def _wording_has_its_placeholders(self) -> Self:
        for name, template, placeholder in (
            ("system", self.wording.system, "rubric"),
            ("again", self.wording.again, "fault"),
        ):
            try:
                template.format(**{placeholder: ""})
            except (AttributeError, KeyError, IndexError, ValueError) as error:
                raise ValueError(f"wording.{name}: no placeholder {error}") from None
            if f"{{{placeholder}}}" not in template:
                raise ValueError(f"wording.{name}: {{{placeholder}}} is missing")
        return self


def judge_endpoint(
    params: JudgeParams, content: Mapping[str, Any], task: str, path: Path = PARAMS_FILE
) -> Endpoint | None:
    """The entry of `summarize.endpoints` that is to judge a task; None if none is.

    `content` is the whole of params.yaml. Raises ParamsError with the names that there are.
    """
    if params.endpoint == NONE:
        return None
    known = section(Endpoints, content, "summarize", task, path).endpoints
    if params.endpoint not in known:
        raise ParamsError(
            f"{path}: evaluate.judge.endpoint: {params.endpoint!r} is none of"
            f" {', '.join((NONE, *known))}"
        )
    return known[params.endpoint]


class EvaluateParams(Section):
    """Section `evaluate`."""

    window: int = Field(ge=10)
    resamples: PositiveInt
    judge: JudgeParams
