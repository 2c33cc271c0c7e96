"""Section `train.grpo`: training by rewards (GRPO), which follows the supervised one."""

from typing import Literal, Self

from pydantic import Field, model_validator

from wenmo.config.params_file import Count, PositiveFloat, PositiveInt, Section
from wenmo.core.language import N_, gettext


class RewardWeights(Section):
    """Section `train.grpo.rewards`; the names are those of the scores."""

    form: float = Field(ge=0)
    rhyme: float = Field(ge=0)
    tone_share: float = Field(ge=0)
    first_line: float = Field(ge=0)
    different_characters: float = Field(ge=0)
    copied_lines: float = Field(ge=0)
    length_score: float = Field(ge=0)
    ended: float = Field(ge=0)
    seq_rep_4: float = Field(ge=0)


class GrpoParams(Section):
    """Section `train.grpo`; the names are those of trl.GRPOConfig where it has them."""

    max_steps: PositiveInt
    learning_rate: PositiveFloat | Literal["auto"]
    warmup_steps: Count
    num_generations: int = Field(ge=2)
    per_device_train_batch_size: PositiveInt
    gradient_accumulation_steps: PositiveInt
    temperature: PositiveFloat
    beta: float = Field(ge=0)
    eval_steps: PositiveInt
    max_loss_rise: float = Field(ge=0)
    rewards: RewardWeights

    @model_validator(mode="after")
    def _can_work(self) -> Self:
        texts = self.per_device_train_batch_size * self.gradient_accumulation_steps
        if texts % self.num_generations:
            raise ValueError(
                gettext(
                    "a step of {texts} texts (per_device_train_batch_size times"
                    " gradient_accumulation_steps) is no multiple of num_generations"
                    " ({num_generations})",
                    texts=texts,
                    num_generations=self.num_generations,
                )
            )
        for complaint, names in (
            (
                N_("every reward of poems has a weight of 0: {names}"),
                ("form", "rhyme", "tone_share", "first_line"),
            ),
            (
                N_("every reward of prose has a weight of 0: {names}"),
                ("length_score", "ended", "seq_rep_4"),
            ),
        ):
            if not any(getattr(self.rewards, name) for name in names):
                raise ValueError(gettext(complaint, names=", ".join(names)))
        return self
