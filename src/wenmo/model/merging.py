"""Adapter into base: one folder of weights that any engine serves without knowing of LoRA."""

from pathlib import Path

from pydantic import Field

from wenmo.model.loading import Precision, load_model, load_tokenizer
from wenmo.params import Section


class MergeWeightsParams(Section):
    """Section `merge_weights`."""

    precision: Precision
    max_shard_size: str = Field(pattern=r"^\d+(MB|GB)$")


def merge(base: Path, adapter: Path, output: Path, params: MergeWeightsParams) -> None:
    """Write base plus adapter as safetensors shards with tokenizer and generation config."""
    from peft import PeftModel

    model = PeftModel.from_pretrained(load_model(base, params.precision), adapter)
    merged = model.merge_and_unload(progressbar=True, safe_merge=True)
    merged.save_pretrained(output, max_shard_size=params.max_shard_size)
    load_tokenizer(base).save_pretrained(output)
