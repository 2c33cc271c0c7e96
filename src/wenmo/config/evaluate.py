"""Section `evaluate`: the scores, and the LLM that judges base against tuned."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from wenmo.config.endpoints import Endpoint, named_endpoint
from wenmo.config.params_file import PositiveInt, Section
from wenmo.core.language import gettext


class JudgeWording(Section):
    """The messages to the judge; `{rubric}` stands for the rubric, `{fault}` for what was wrong."""

    system: str
    question: str
    again: str


class JudgeParams(Section):
    """Section `evaluate.judge`. `endpoint` is None if no LLM judges."""

    endpoint: Annotated[Endpoint | None, named_endpoint("none")]
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
                raise ValueError(
                    gettext("wording.{name}: no placeholder {error}", name=name, error=error)
                ) from None
            if f"{{{placeholder}}}" not in template:
                raise ValueError(
                    gettext(
                        "wording.{name}: {{{placeholder}}} is missing",
                        name=name,
                        placeholder=placeholder,
                    )
                )
        return self


class EvaluateParams(Section):
    """Section `evaluate`."""

    window: int = Field(ge=10)
    resamples: PositiveInt
    judge: JudgeParams
