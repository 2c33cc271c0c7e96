"""Control characters, by which a text could steer a terminal."""

import unicodedata


def visible(text: str) -> str:
    """The text with control characters written as their numbers.

    Control characters are those of Unicode's categories C*, except line breaks.
    https://www.unicode.org/reports/tr44/#General_Category_Values
    """
    return "".join(
        f"\\u{ord(each):04x}" if unicodedata.category(each)[0] == "C" and each != "\n" else each
        for each in text
    )
