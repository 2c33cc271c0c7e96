"""Which scores there are of each kind, and which one decides.

Pages and tables ask here, so that they do not import the scores themselves.
"""

LOWER_IS_BETTER = frozenset(
    {
        "loss_per_character",
        "seq_rep_4",
        "self_bleu",
        "copied",
        "copied_13grams",
        "longest_copy",
        "repeated_lines",
        "copied_lines",
    }
)
NEITHER_IS_BETTER = frozenset({"sentence_length"})
"""Scores that are read beside the references' alone."""

NOT_A_SHARE = frozenset({"loss_per_character", "longest_copy", "sentence_length"})
"""Scores with a unit. All others are from 0 to 1."""


_FORCED = {
    "form": ("form", "first_line"),
    "rhyme": ("form", "first_line", "rhyme"),
    "full": ("form", "first_line", "rhyme", "tones", "tone_share"),
}


def forced_scores(rule: str) -> tuple[str, ...]:
    """The scores that poems have by `generate.verse` alone, whatever the model has learnt."""
    return _FORCED.get(rule, ())


def primary_score(task: str) -> str:
    """The score that decides whether tuned writes better."""
    return "form" if task == "poetry" else "loss_per_character"
