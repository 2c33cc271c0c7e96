"""Section `train.lora`: the adapter, and how it begins."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from wenmo.config.params_file import Fraction, PositiveFloat, PositiveInt, Section
from wenmo.core.language import gettext


class LoraParams(Section):
    """Section `train.lora`; the names are those of peft.LoraConfig where it has them."""

    r: PositiveInt
    lora_alpha: PositiveFloat
    lora_dropout: Fraction
    use_rslora: bool
    use_dora: bool
    init_lora_weights: Literal["default", "pissa", "eva"]
    loraplus_lr_ratio: float = Field(ge=1)
    target_modules: Literal["all-linear"] | Annotated[list[str], Field(min_length=1)]

    @model_validator(mode="after")
    def _can_work(self) -> Self:
        # What PiSSA takes out of the base changes its directions, which DoRA scales.
        if self.init_lora_weights == "pissa" and self.use_dora:
            raise ValueError(
                gettext(
                    "init_lora_weights pissa alters the base while it is trained, so that DoRA's"
                    " magnitudes would not fit it afterwards; set use_dora to false or"
                    " init_lora_weights to default"
                )
            )
        return self
