"""Section `merge`: near-duplicates, and the split into training and held-out rows."""

from typing import Annotated, Literal

from pydantic import Field

from wenmo.config.params_file import Count, Fraction, PositiveInt, Section


class MergeParams(Section):
    """Section `merge`."""

    group_by: Literal["source", "block", "verse_line", "row"]
    block_rows: PositiveInt
    gap_rows: Count
    near_duplicate_jaccard: Fraction
    drop_near_duplicates: bool
    eval_fraction: Annotated[float, Field(gt=0, lt=1)]
    max_eval_rows: Annotated[int, Field(ge=2)]
    max_train_rows: PositiveInt
    max_leakage: Fraction
