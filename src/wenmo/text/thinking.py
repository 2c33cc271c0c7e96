"""What a reasoning model thinks before it answers, told from the answer by its tags.

Tags of published chat templates: Qwen3, DeepSeek-R1, GLM-4.5 and most others (<think>), Gemini
(<thought>), Seed-OSS (<seed:think>), Magistral ([THINK]), Kimi-VL (◁think▷).
"""

import re

OPENING = ("<think>", "<thinking>", "<thought>", "<seed:think>", "[THINK]", "◁think▷")
CLOSING = ("</think>", "</thinking>", "</thought>", "</seed:think>", "[/THINK]", "◁/think▷")

_OPENING = re.compile("|".join(map(re.escape, OPENING)))
_CLOSING = re.compile("|".join(map(re.escape, CLOSING)))


def without_thinking(text: str) -> str | None:
    """The answer in a text; None if the text ends while the model still thinks.

    The answer is what follows the last closing tag, without white space at either end: thinking may
    speak of its own tags, and a chat template may have put the opening tag into the prompt. A text
    without tags is returned as it is.
    """
    answer = after_thinking(text)
    if _OPENING.search(answer):
        return None
    return text if answer is text else answer.strip()


def after_thinking(text: str) -> str:
    """What follows the last closing tag, an unfinished thought included."""
    ends = [found.end() for found in _CLOSING.finditer(text)]
    return text[ends[-1] :] if ends else text
