"""Whether a text is the poem that was asked for."""

from wenmo.text.prosody import rhymes
from wenmo.text.verse import form, verse_lines


def exact_form(text: str, reference: str) -> bool:
    """Whether the text has the reference's number of lines and of characters a line."""
    wanted = form(verse_lines(reference))
    return wanted is not None and form(verse_lines(text)) == wanted


def rhymed(text: str) -> bool:
    """Whether all even lines share a 平水 rhyme."""
    return rhymes(verse_lines(text))
