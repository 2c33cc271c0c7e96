"""What scores and tasks are called where people read them."""

from wenmo.scoring.scorecard import LOWER_IS_BETTER

TASK_NAMES = {"novel": "小说 · novel", "fairytale": "童话 · fairytale", "poetry": "古诗 · poetry"}

SCORE_NAMES = {
    "loss_per_character": "held-out loss per character (nats)",
    "form": "exact form",
    "rhyme": "rhyme (平水)",
    "rouge_1": "ROUGE-1",
    "rouge_2": "ROUGE-2",
    "rouge_l": "ROUGE-L",
    "bleu": "BLEU (zh)",
    "chrf2": "chrF2",
    "distinct_2": "distinct-2",
    "seq_rep_4": "seq-rep-4",
    "length_score": "length score",
    "ended": "ends by itself",
}


def better_direction(score: str) -> str:
    """An arrow up or down: which way a score improves."""
    return "↓" if score in LOWER_IS_BETTER else "↑"
