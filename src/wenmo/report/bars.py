"""The scores of base and tuned as bars for `dvc plots`: plots/scores/<task>.csv."""

from collections.abc import Mapping
from typing import Any

from wenmo.scoring.catalogue import NOT_A_SHARE


def bars(scores: Mapping[str, Mapping[str, float]]) -> list[dict[str, Any]]:
    """A line per score and model. Only shares are among them, since they fit one axis."""
    return [
        {"score": name, "model": model, "value": scores[model][name]}
        for name in scores["base"]
        if name not in NOT_A_SHARE
        for model in ("base", "tuned")
    ]
