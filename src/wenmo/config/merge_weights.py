"""Section `merge_weights`: the format of the weights merged from base and adapter."""

from pydantic import Field

from wenmo.config.params_file import PositiveInt, Precision, Section


class MergeWeightsParams(Section):
    """Section `merge_weights`."""

    precision: Precision
    max_shard_size: str = Field(pattern=r"^\d+(MB|GB)$")
    compared_rows: PositiveInt
