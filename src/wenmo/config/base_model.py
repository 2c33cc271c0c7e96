"""Section `base_model`: the source of the base model."""

from typing import Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from wenmo.config.params_file import Fraction, PositiveFloat, PositiveInt, Section
from wenmo.core.language import gettext

Source = Literal["embedded", "tiny", "huggingface", "modelscope", "path"]
HUBS = ("huggingface", "modelscope")


class Architecture(Section):
    """The keys of a section that give a Qwen2 its size."""

    hidden_size: PositiveInt
    intermediate_size: PositiveInt
    layers: PositiveInt
    heads: PositiveInt
    max_position_embeddings: PositiveInt
    vocabulary: PositiveInt

    @model_validator(mode="after")
    def _heads_fit(self) -> Self:
        if self.hidden_size % (2 * self.heads):
            raise ValueError(
                gettext(
                    "hidden_size ({hidden_size}) is no multiple of twice heads ({heads})",
                    hidden_size=self.hidden_size,
                    heads=self.heads,
                )
            )
        return self


class TinyParams(Architecture):
    """Section `base_model.tiny`: size and pre-training of the model for quick tests."""

    block_length: PositiveInt
    verse_poems: PositiveInt
    chat_share: Fraction
    steps: PositiveInt
    batch_size: PositiveInt
    learning_rate: PositiveFloat


class BaseModelParams(Section):
    """Section `base_model`."""

    source: Source
    name: str
    revision: str
    path: str = Field(min_length=1)
    template_kwargs: dict[str, bool | int | str]
    tuning_learning_rate: PositiveFloat
    tiny: TinyParams

    @field_validator("name")
    @classmethod
    def _needed_by_a_hub(cls, value: str, info: ValidationInfo) -> str:
        # An unknown source has its own complaint and is not among the data.
        source = info.data.get("source")
        if source in HUBS and not value:
            raise ValueError(
                gettext("source {source} needs a repository such as Qwen/Qwen3-4B", source=source)
            )
        return value
