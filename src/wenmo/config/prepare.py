"""Section `prepare`: what every task's raw texts go through."""

from wenmo.config.params_file import Count, Fraction, Section


class QualityParams(Section):
    """Section `prepare.quality`: a text outside of these is left out and counted by reason."""

    min_han_share: Fraction
    max_gap_share: Fraction
    max_repetition: Fraction
    min_vernacular_share: Fraction


class SharedPrepareParams(Section):
    """Section `prepare`, which every task's own adds to."""

    processes: Count
    skip_malformed: bool
    keep_rejects: bool
    to_simplified: bool
    quality: QualityParams
