"""The peak learning rate of training: what `auto` stands for, and which rates are refused.

A rate that suits the embedded base ruins a model of a billion parameters. The embedded base's own
rate therefore stands in the section of the base, and no other base gets more than
`max_learning_rate`.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ConfigDict, ValidationInfo

from wenmo.config.base_model import Source
from wenmo.config.params_file import PositiveFloat, Section, section
from wenmo.core.language import gettext

USUAL = 2e-4
"""For any base but the embedded one, as in the QLoRA paper: https://arxiv.org/abs/2305.14314"""

FEW_STEPS = 100
"""Steps for which base_model.tuning_learning_rate is meant.

With more of them, `auto` falls by their square root: at the rate of 100 steps, the embedded base
forgets in 500 steps what it knows of verse (docs/experiments.md).
"""

Context = ValidationInfo[tuple[Mapping[str, Any], Path]]


class TunedBase(Section):
    """What training reads of section `base_model`: no other key there makes it stale."""

    model_config = ConfigDict(extra="ignore")

    source: Source
    tuning_learning_rate: PositiveFloat

    @property
    def is_our_own(self) -> bool:
        """Whether the base is the one that comes with the clone, or the tiny one of the tests."""
        return self.source in ("embedded", "tiny")


def _number_for_auto(value: Any, info: Context) -> Any:
    if not isinstance(value, str):
        return value
    if value != "auto":
        raise ValueError(gettext("expected a number above 0, or auto"))
    base = _tuned_base(info)
    if not base.is_our_own:
        return USUAL
    # Epochs (-1) count as few steps: how many steps they are is known once the rows are.
    steps = info.data.get("max_steps", FEW_STEPS)
    if steps <= FEW_STEPS:
        return base.tuning_learning_rate
    return float(f"{base.tuning_learning_rate * math.sqrt(FEW_STEPS / steps):.2g}")


def _refuse_ruinous(value: float, info: Context) -> float:
    # Without the rest of params.yaml no base is known. The key is missing if it is wrong itself.
    most = info.data.get("max_learning_rate")
    if info.context and most and value > most and not _tuned_base(info).is_our_own:
        raise ValueError(
            gettext(
                "above max_learning_rate ({most:g}), which ruins a pretrained model; set it to"
                " auto, or raise train.max_learning_rate as well",
                most=most,
            )
        )
    return value


def _tuned_base(info: Context) -> TunedBase:
    content, path = info.context
    return section(TunedBase, content, "base_model", path=path)


LearningRate = Annotated[
    PositiveFloat, BeforeValidator(_number_for_auto), AfterValidator(_refuse_ruinous)
]
"""A number in params.yaml, or `auto`; always a number once section `train` is read.

A model names it after `max_steps` and `max_learning_rate`, which are then known when the rate is
validated.
"""
