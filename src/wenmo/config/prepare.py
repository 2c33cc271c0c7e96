"""Section `prepare`: how raw texts of all tasks are cleaned and filtered."""

from wenmo.config.params_file import Count, Fraction, Section


class QualityParams(Section):
    """Section `prepare.quality`: a text outside these bounds is left out and counted by reason."""

    min_han_share: Fraction
    max_gap_share: Fraction
    max_repetition: Fraction
    min_vernacular_share: Fraction


class DatasetParams(Section):
    """Section `<task>.prepare.dataset`: rows from the Hugging Face hub instead of files."""

    name: str = ""
    revision: str = ""
    subset: str = ""
    split: str = "train"


class SharedPrepareParams(Section):
    """Section `prepare`; the module of each task adds the task's own keys."""

    processes: Count
    skip_malformed: bool
    keep_rejects: bool
    to_simplified: bool
    quality: QualityParams
