"""What scores and tasks are called where people read them."""

from wenmo.scoring.catalogue import LOWER_IS_BETTER, NEITHER_IS_BETTER

TASK_NAMES = {"novel": "小说 · novel", "fairytale": "童话 · fairytale", "poetry": "古诗 · poetry"}

SCORE_NAMES = {
    "loss_per_character": "held-out loss per character (nats)",
    "form": "exact form",
    "rhyme": "rhyme (平水)",
    "tones": "all tone rules (平仄)",
    "tone_share": "tone rules kept",
    "first_line": "first line kept",
    "repeated_lines": "repeated lines",
    "rouge_1": "ROUGE-1",
    "rouge_2": "ROUGE-2",
    "rouge_l": "ROUGE-L",
    "bleu": "BLEU (zh)",
    "chrf2": "chrF2",
    "distinct_2": "distinct-2",
    "distinct_4": "distinct-4",
    "seq_rep_4": "seq-rep-4",
    "self_bleu": "self-BLEU",
    "length_score": "length score",
    "ended": "ends properly",
    "sentence_length": "characters a sentence",
    "common_share": "common characters",
    "has_ending": "tells of an ending",
    "copied": "copied texts",
    "copied_13grams": "copied 13-grams",
    "longest_copy": "longest copy (characters)",
    "copied_lines": "copied lines",
}
"""The order of tables, too."""

SCORE_MEANINGS = {
    "loss_per_character": "How surprised the model is by the reference itself, a character.",
    "form": "Poems with as many lines, and characters a line, as the reference.",
    "rhyme": "Poems whose even lines all share a rhyme of the 平水 rhyme book.",
    "tones": "Poems of a regulated form that break no rule of level and oblique tones.",
    "tone_share": "How much of what the tone rules ask is kept; shuffled lines keep 0.80 to 0.85.",
    "first_line": "Poems that open with the line that the prompt gives.",
    "repeated_lines": "Lines that stand in the same poem before.",
    "rouge_1": "Characters in common with the reference (F1).",
    "rouge_2": "Pairs of characters in common with the reference (F1).",
    "rouge_l": "Longest sequence of characters in common with the reference, gaps allowed (F1).",
    "bleu": "Runs of one to four characters that stand in the reference, over all texts.",
    "chrf2": "Runs of one to six characters in common with the reference, over all texts.",
    "distinct_2": "Different pairs of characters among all pairs, at equal length of text.",
    "distinct_4": "Different runs of four characters among all such, at equal length of text.",
    "seq_rep_4": "Runs of four characters that stood in the text before; in human prose 0.015.",
    "self_bleu": "How much the texts of all prompts are alike.",
    "length_score": "1 at the reference's length, 0 from four times or a third of it.",
    "ended": "Texts that the model closed by itself, with a whole sentence and every quote closed.",
    "sentence_length": "Neither way is better: to be read beside the references.",
    "common_share": "Chinese characters among the 3,755 most common ones (GB 2312, first level).",
    "has_ending": "Texts whose last sentences tell of an aftermath, a feeling or a lesson; a sign, "
    "better up to the references' share.",
    "copied": "Texts with 30 characters on end, or 1% of their 13-grams, from the training text.",
    "copied_13grams": "Runs of 13 characters that stand in the training text.",
    "longest_copy": "Most characters on end that stand in a training text.",
    "copied_lines": "Lines after the first that stand in a training poem.",
}
"""A line for each score."""


def better_direction(score: str) -> str:
    """An arrow up or down: which way a score improves; empty where neither way is better."""
    if score in NEITHER_IS_BETTER:
        return ""
    return "↓" if score in LOWER_IS_BETTER else "↑"
