"""Section `fairytale.prepare`: the bounds of a tale's length."""

from wenmo.config.params_file import PositiveInt
from wenmo.config.prepare import SharedPrepareParams


class PrepareParams(SharedPrepareParams):
    """Sections `prepare` and `fairytale.prepare`."""

    min_tale_chars: PositiveInt
    max_tale_chars: PositiveInt
