"""The base model that all tasks start from."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from wenmo.errors import UserError
from wenmo.model import tiny
from wenmo.params import Section


class BaseModelParams(Section):
    """Section `base_model`."""

    source: Literal["tiny", "huggingface", "modelscope", "path"]
    name: str
    revision: str
    path: str = Field(min_length=1)
    tiny: tiny.TinyParams


def provide(
    output: Path, text_folder: Path, params: BaseModelParams, seed: int
) -> dict[str, float]:
    """Put the base model that `base_model.source` names into `output`.

    Returns its parameter count and, for the tiny one, its last pre-training loss. Raises UserError
    where the source is not to be had.
    """
    if params.source != "tiny":
        raise UserError(
            f"params.yaml: base_model.source: {params.source!r} is not supported yet;"
            " set base_model.source to tiny"
        )
    return tiny.build(text_folder, output, params.tiny, seed)
