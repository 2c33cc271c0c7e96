"""Section `novel.prepare`: which books are used, and how long their passages are."""

from typing import Self

from pydantic import model_validator

from wenmo.config.params_file import PositiveInt, Section
from wenmo.config.prepare import DatasetParams, SharedPrepareParams
from wenmo.core.language import gettext


class PassageParams(Section):
    """Section `novel.prepare.passages`: lengths in characters, line breaks included."""

    target: PositiveInt
    minimum: PositiveInt
    maximum: PositiveInt

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.minimum <= self.target <= self.maximum or self.minimum == self.maximum:
            raise ValueError(gettext("expected minimum <= target <= maximum and minimum < maximum"))
        return self


class PrepareParams(SharedPrepareParams):
    """Sections `prepare` and `novel.prepare`."""

    dataset: DatasetParams = DatasetParams()
    include: list[str]
    exclude: list[str]
    passages: PassageParams
