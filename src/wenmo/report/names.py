"""The names and meanings of scores and tasks on pages and in tables."""

from wenmo.core.language import N_, gettext
from wenmo.scoring.catalogue import LOWER_IS_BETTER, NEITHER_IS_BETTER

WRITERS = (N_("references"), N_("base"), N_("tuned"))
"""Whose texts tables and pictures show."""

RULES = (N_("form"), N_("rhyme"), N_("tones"))
"""What a poem keeps or breaks."""

TASK_NAMES = {"novel": "小说 · novel", "fairytale": "童话 · fairytale", "poetry": "古诗 · poetry"}

SCORE_NAMES = {
    "loss_per_character": N_("held-out loss per character (nats)"),
    "form": N_("exact form"),
    "rhyme": N_("rhyme (平水)"),
    "tones": N_("all tone rules (平仄)"),
    "tone_share": N_("tone rules kept"),
    "first_line": N_("first line kept"),
    "different_characters": N_("different characters"),
    "repeated_lines": N_("repeated lines"),
    "rouge_1": N_("ROUGE-1"),
    "rouge_2": N_("ROUGE-2"),
    "rouge_l": N_("ROUGE-L"),
    "bleu": N_("BLEU (zh)"),
    "chrf2": N_("chrF2"),
    "distinct_2": N_("distinct-2"),
    "distinct_4": N_("distinct-4"),
    "seq_rep_4": N_("seq-rep-4"),
    "self_bleu": N_("self-BLEU"),
    "length_score": N_("length score"),
    "ended": N_("ends properly"),
    "sentence_length": N_("characters per sentence"),
    "common_share": N_("common characters"),
    "has_ending": N_("tells of an ending"),
    "copied": N_("copied texts"),
    "copied_13grams": N_("copied 13-grams"),
    "longest_copy": N_("longest copy (characters)"),
    "copied_lines": N_("copied lines"),
}
"""Names by score, in the order of tables."""

SCORE_MEANINGS = {
    "loss_per_character": N_(
        "How surprised the model is by the reference, which it has not seen, per character. A lower"
        " loss tells of better guesses at the next character, not of better writing."
    ),
    "form": N_("Poems with the reference's number of lines and of characters per line."),
    "rhyme": N_("Poems whose even lines all share a rhyme of the 平水 rhyme book."),
    "tones": N_("Poems of a regulated form that break no rule of level and oblique tones."),
    "tone_share": N_(
        "Share of the tone rules' checks that pass; shuffled lines pass 0.80 to 0.85."
    ),
    "first_line": N_("Poems that open with the line that the prompt gives."),
    "different_characters": N_(
        "Different characters among all of a poem; Tang quatrains have 0.8 or more in 99 of 100."
    ),
    "repeated_lines": N_("Lines that occur earlier in the same poem."),
    "rouge_1": N_("Characters shared with the reference (F1)."),
    "rouge_2": N_("Pairs of characters shared with the reference (F1)."),
    "rouge_l": N_("Longest sequence of characters shared with the reference, gaps allowed (F1)."),
    "bleu": N_("Runs of one to four characters that the reference has too, over all texts."),
    "chrf2": N_("Runs of one to six characters shared with the reference, over all texts."),
    "distinct_2": N_("Different pairs of characters among all pairs, at equal length of text."),
    "distinct_4": N_(
        "Different runs of four characters among all such runs, at equal length of text."
    ),
    "seq_rep_4": N_(
        "Runs of four characters that occur earlier in the text; human prose has 0.015."
    ),
    "self_bleu": N_("Similarity of the texts of all prompts to each other."),
    "length_score": N_("1 at the reference's length, 0 from four times or a third of it."),
    "ended": N_("Texts that the model ended by itself, with a whole sentence and closed quotes."),
    "sentence_length": N_("Neither more nor less is better; compare it with the references."),
    "common_share": N_(
        "Chinese characters among the 3,755 most common ones (GB 2312, first level)."
    ),
    "has_ending": N_(
        "Texts whose last sentences tell of an aftermath, a feeling or a lesson. More is better "
        "up to the references' share."
    ),
    "copied": N_(
        "Texts that share 30 consecutive characters, or 1% of their 13-grams, with the training "
        "text."
    ),
    "copied_13grams": N_("Runs of 13 characters that the training text has too."),
    "longest_copy": N_("Longest run of characters that a training text has too."),
    "copied_lines": N_("Lines after the first that a training poem has too."),
}
"""A sentence or phrase per score."""


REASONS = (
    N_("advert"),
    N_("classical"),
    N_("empty"),
    N_("fragment"),
    N_("gaps"),
    N_("gaps or notes"),
    N_("heading"),
    N_("invisible"),
    N_("little Han"),
    N_("long"),
    N_("mark-up"),
    N_("note"),
    N_("note mark"),
    N_("orphan quote"),
    N_("repetition"),
    N_("separator"),
    N_("short"),
    N_("site"),
    N_("system message"),
    N_("thinking"),
    N_("uneven"),
    N_("other form of the tune"),
    N_("untitled"),
)
"""Why prepare leaves a text out; `gettext` translates what it has written in English."""


def score_name(score: str) -> str:
    """A score's name in the reader's language; a score without a name is called by its key."""
    return gettext(SCORE_NAMES.get(score, score))


def better_direction(score: str) -> str:
    """The arrow of the better direction, up or down; empty if neither is better."""
    if score in NEITHER_IS_BETTER:
        return ""
    return "↓" if score in LOWER_IS_BETTER else "↑"
