"""The names and meanings of scores and tasks on pages and in tables."""

from wenmo.scoring.catalogue import LOWER_IS_BETTER, NEITHER_IS_BETTER

TASK_NAMES = {"novel": "小说 · novel", "fairytale": "童话 · fairytale", "poetry": "古诗 · poetry"}

SCORE_NAMES = {
    "loss_per_character": "held-out loss per character (nats)",
    "form": "exact form",
    "rhyme": "rhyme (平水)",
    "tones": "all tone rules (平仄)",
    "tone_share": "tone rules kept",
    "first_line": "first line kept",
    "different_characters": "different characters",
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
    "sentence_length": "characters per sentence",
    "common_share": "common characters",
    "has_ending": "tells of an ending",
    "copied": "copied texts",
    "copied_13grams": "copied 13-grams",
    "longest_copy": "longest copy (characters)",
    "copied_lines": "copied lines",
}
"""Names by score, in the order of tables."""

SCORE_MEANINGS = {
    "loss_per_character": "How surprised the model is by the reference, per character.",
    "form": "Poems with the reference's number of lines and of characters per line.",
    "rhyme": "Poems whose even lines all share a rhyme of the 平水 rhyme book.",
    "tones": "Poems of a regulated form that break no rule of level and oblique tones.",
    "tone_share": "Share of the tone rules' checks that pass; shuffled lines pass 0.80 to 0.85.",
    "first_line": "Poems that open with the line that the prompt gives.",
    "different_characters": "Different characters among all of a poem; Tang quatrains have 0.8 or "
    "more in 99 of 100.",
    "repeated_lines": "Lines that occur earlier in the same poem.",
    "rouge_1": "Characters shared with the reference (F1).",
    "rouge_2": "Pairs of characters shared with the reference (F1).",
    "rouge_l": "Longest sequence of characters shared with the reference, gaps allowed (F1).",
    "bleu": "Runs of one to four characters that the reference has too, over all texts.",
    "chrf2": "Runs of one to six characters shared with the reference, over all texts.",
    "distinct_2": "Different pairs of characters among all pairs, at equal length of text.",
    "distinct_4": "Different runs of four characters among all such runs, at equal length of text.",
    "seq_rep_4": "Runs of four characters that occur earlier in the text; human prose has 0.015.",
    "self_bleu": "Similarity of the texts of all prompts to each other.",
    "length_score": "1 at the reference's length, 0 from four times or a third of it.",
    "ended": "Texts that the model ended by itself, with a whole sentence and closed quotes.",
    "sentence_length": "Neither more nor less is better; compare it with the references.",
    "common_share": "Chinese characters among the 3,755 most common ones (GB 2312, first level).",
    "has_ending": "Texts whose last sentences tell of an aftermath, a feeling or a lesson. More is "
    "better up to the references' share.",
    "copied": "Texts that share 30 consecutive characters, or 1% of their 13-grams, with the "
    "training text.",
    "copied_13grams": "Runs of 13 characters that the training text has too.",
    "longest_copy": "Longest run of characters that a training text has too.",
    "copied_lines": "Lines after the first that a training poem has too.",
}
"""A sentence or phrase per score."""


def better_direction(score: str) -> str:
    """The arrow of the better direction, up or down; empty if neither is better."""
    if score in NEITHER_IS_BETTER:
        return ""
    return "↓" if score in LOWER_IS_BETTER else "↑"
