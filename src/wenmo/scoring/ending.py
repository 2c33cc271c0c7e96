"""Ending: whether a text comes to an end or just stops."""

import re

from wenmo.text.sentences import quotes_balance

_CLOSED = re.compile(r"""[…。！？!?][”’」』）)】》"'*]*\s*\Z""")


def ends_properly(text: str, finish_reason: str) -> bool:
    """Whether a text ends by itself and with a whole sentence. Higher is better for the share.

    The model must have ended the text (`stop`, not `length`), the text must end with a sentence,
    and its quotes must balance. All passages and tales of the sample texts meet the last two.
    """
    quotes_close = quotes_balance(text) and text.count('"') % 2 == 0
    return finish_reason == "stop" and ends_with_a_sentence(text) and quotes_close


def ends_with_a_sentence(text: str) -> bool:
    """Whether the last character ends a sentence; closing quotes and brackets may follow it."""
    return bool(_CLOSED.search(text))
