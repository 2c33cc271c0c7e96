"""Section `summarize`: which LLM writes the prompts, its instructions, and the prompts' bounds."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from wenmo.config.endpoints import Endpoint, named_endpoint
from wenmo.config.params_file import Count, PositiveInt, Section
from wenmo.core.language import gettext


class Example(Section):
    """A passage and a prompt that would suit it."""

    text: str
    prompt: str


class Wording(Section):
    """The messages to the LLM; `{n}` stands for max_prompt_chars, `{fault}` for what was wrong."""

    system: str
    again: str
    examples: list[Example]


class SummarizeParams(Section):
    """Section `summarize`. `provider` is None for the offline stand-in."""

    provider: Annotated[Endpoint | None, named_endpoint("offline")]
    max_prompt_chars: PositiveInt
    wording: Wording
    temperature: float = Field(ge=0)
    max_tokens: PositiveInt
    max_attempts: PositiveInt
    max_failures: Count

    @model_validator(mode="after")
    def _wording_has_its_placeholders(self) -> Self:
        for name, template, keys in (
            ("system", self.wording.system, {"n": 0}),
            ("again", self.wording.again, {"n": 0, "fault": ""}),
        ):
            try:
                template.format(**keys)
            except (KeyError, IndexError, ValueError) as error:
                raise ValueError(
                    gettext("wording.{name}: no placeholder {error}", name=name, error=error)
                ) from None
        return self

    @property
    def endpoint(self) -> Endpoint:
        """The endpoint that writes the prompts. Raises ValueError for the offline stand-in."""
        if self.provider is None:
            raise ValueError("the offline stand-in has no endpoint")
        return self.provider
