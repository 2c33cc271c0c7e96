"""What every raw text passes first: one normal form of characters and white space."""

import re
import unicodedata

_BLANK = re.compile(r"[^\S\n]+")
_BLANK_LINES = re.compile(r"\n\s*\n+")


def clean(text: str) -> str:
    """NFC, LF, no byte-order mark, no blank lines, no space at a line's ends or doubled within.

    Full-width spaces are spaces. The text's own punctuation, brackets and quotes stay as they are.
    """
    text = unicodedata.normalize("NFC", text.replace("\ufeff", ""))
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = (_BLANK.sub(" ", line).strip() for line in text.split("\n"))
    return _BLANK_LINES.sub("\n", "\n".join(lines)).strip()
