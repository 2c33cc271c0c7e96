"""Section `fairytale.prepare`: where tales come from, and the bounds of their length."""

from wenmo.config.params_file import PositiveInt
from wenmo.config.prepare import DatasetParams, SharedPrepareParams


class PrepareParams(SharedPrepareParams):
    """Sections `prepare` and `fairytale.prepare`."""

    dataset: DatasetParams = DatasetParams()
    min_tale_chars: PositiveInt
    max_tale_chars: PositiveInt
