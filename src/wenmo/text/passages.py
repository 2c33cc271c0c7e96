"""Cutting a book into passages that a model can be asked to write.

A sentence keeps its closing quotes: splitting at every 。 would open the next passage with an
orphan ”. A passage never crosses a chapter.
"""

import re
from collections.abc import Iterator

_SENTENCE = re.compile(r".+?(?:(?:……|…|[。！？!?])+[”’」』）]*|\n|$)", re.DOTALL)
_CLAUSE = re.compile(r".+?(?:[；，,;]|$)", re.DOTALL)
_CHAPTER_HEADING = re.compile(
    r"^第[〇零一二三四五六七八九十百千两\d]+[章回节卷][^。！？]{0,40}$", re.MULTILINE
)
_QUOTES = {"“": "”", "「": "」", "『": "』"}


def chapters(text: str) -> list[str]:
    """The chapters' texts without their headings."""
    return [part for part in (c.strip() for c in _CHAPTER_HEADING.split(text)) if part]


def sentences(text: str) -> list[str]:
    """The sentences of a text with their ends; joined they are the text again."""
    return _SENTENCE.findall(text)


def passages(chapter: str, maximum: int) -> list[str]:
    """A chapter in passages of at most `maximum` characters, filled greedily with sentences.

    A passage closes where its quotes balance if there is such a place in its second half, so that
    a speech stays whole. White space at a passage's ends is dropped; nothing else is lost.
    """
    cut = []
    pieces = [piece for each in sentences(chapter) for piece in _at_most(each, maximum)]
    while pieces:
        taken = _take(pieces, maximum)
        passage = "".join(pieces[:taken]).strip()
        if passage:
            cut.append(passage)
        pieces = pieces[taken:]
    return cut


def quotes_balance(text: str) -> bool:
    """Whether every opening quote is closed."""
    return all(text.count(opening) == text.count(close) for opening, close in _QUOTES.items())


def _take(pieces: list[str], maximum: int) -> int:
    """How many of the first pieces make the next passage."""
    length, fitting, balanced = 0, 0, 0
    text = ""
    for count, piece in enumerate(pieces, start=1):
        length += len(piece)
        if length > maximum:
            break
        text += piece
        fitting = count
        if length >= maximum // 2 and quotes_balance(text):
            balanced = count
    return balanced or fitting


def _at_most(sentence: str, maximum: int) -> Iterator[str]:
    """An overlong sentence in pieces, cut at clauses where possible."""
    if len(sentence) <= maximum:
        yield sentence
        return
    for clause in _CLAUSE.findall(sentence):
        for start in range(0, len(clause), maximum):
            yield clause[start : start + maximum]
