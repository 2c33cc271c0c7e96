"""Section `summarize`: who writes the prompts, in which words, and within which bounds."""

from typing import Self

from pydantic import Field, model_validator

from wenmo.config.endpoints import Asking, Endpoint
from wenmo.config.params_file import Count, PositiveInt, Section

OFFLINE = "offline"


class Example(Section):
    """A passage and a prompt that would suit it."""

    text: str
    prompt: str


class Wording(Section):
    """What is said to the LLM; `{n}` stands for max_prompt_chars, `{fault}` for what was wrong."""

    system: str
    again: str
    examples: list[Example]


class SummarizeParams(Asking):
    """Section `summarize`."""

    provider: str
    max_prompt_chars: PositiveInt
    wording: Wording
    temperature: float = Field(ge=0)
    max_tokens: PositiveInt
    max_attempts: PositiveInt
    max_failures: Count
    endpoints: dict[str, Endpoint]

    @model_validator(mode="after")
    def _provider_is_known(self) -> Self:
        known = (OFFLINE, *self.endpoints)
        if self.provider not in known:
            raise ValueError(f"provider {self.provider!r} is none of {', '.join(known)}")
        for name, template, keys in (
            ("system", self.wording.system, {"n": 0}),
            ("again", self.wording.again, {"n": 0, "fault": ""}),
        ):
            try:
                template.format(**keys)
            except (KeyError, IndexError, ValueError) as error:
                raise ValueError(f"wording.{name}: no placeholder {error}") from None
        return self

    @property
    def endpoint(self) -> Endpoint:
        """The chosen endpoint; there is none for the offline stand-in."""
        return self.endpoints[self.provider]
