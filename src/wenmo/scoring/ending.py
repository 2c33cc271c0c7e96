"""Whether a text comes to an end, or just stops."""

import re

from wenmo.text.sentences import quotes_balance

_CLOSED = re.compile(r"""[…。！？!?][”’」』）)】》"'*]*\s*\Z""")


def ends_properly(text: str, finish_reason: str) -> bool:
    """Whether a text ends by itself and with a whole sentence; as a share, higher is better.

    The model closed it (`stop`, not `length`), its last character ends a sentence, closing quotes
    and brackets aside, and every quote is closed. All passages and tales of the sample texts end
    so, as far as their characters go.
    """
    quotes_close = quotes_balance(text) and text.count('"') % 2 == 0
    return finish_reason == "stop" and ends_with_a_sentence(text) and quotes_close


def ends_with_a_sentence(text: str) -> bool:
    """Whether the last character ends a sentence, closing quotes and brackets aside."""
    return bool(_CLOSED.search(text))
