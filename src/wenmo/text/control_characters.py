"""Characters that steer a terminal instead of standing in it."""

import unicodedata


def visible(text: str) -> str:
    """The text without what could steer a terminal: such characters by their number.

    They are those of Unicode's categories C*, but for line breaks.
    https://www.unicode.org/reports/tr44/#General_Category_Values
    """
    return "".join(
        f"\\u{ord(each):04x}" if unicodedata.category(each)[0] == "C" and each != "\n" else each
        for each in text
    )
