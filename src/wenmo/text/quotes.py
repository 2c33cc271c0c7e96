"""Quotes: each kind in the shape that Chinese prose has, and straight ones paired over lines."""

import re

_OTHER_SHAPES = str.maketrans("＂〝〞〟＇﹁﹂﹃﹄｢｣", "\"“””'「」『』「」")
_PAIRS = {'"': "“”", "'": "‘’"}
"""Each straight quote with the curly ones."""

_QUOTES = {straight: re.compile(f"[{straight}{pair}]") for straight, pair in _PAIRS.items()}
_LATIN = re.compile(r"[0-9A-Za-z]")
_BEFORE_OPENING = "：:（(「『《【“‘"
_BEFORE_CLOSING = "。！？!?…～~.．"
_AFTER_CLOSING = "，。、；：！？,.;:!?"


def usual_quotes(line: str) -> str:
    """The line with each quote of another shape, such as 〝 or ﹁, in its usual one."""
    return line.translate(_OTHER_SHAPES)


class StraightQuotes:
    """Turns straight quotes into curly ones, line after line of a text.

    A quote may close in a later line than the one in which it opens. A quote that never closes
    turns no others, since a line's beginning and a colon are followed by opening quotes, and a line
    that is balanced by itself leaves open what was open.
    """

    def __init__(self) -> None:
        self._is_open = False

    def curly(self, line: str) -> str:
        """The line with curly quotes. Apostrophes within Latin words stay."""
        if '"' in line or (self._is_open and _QUOTES['"'].search(line)):
            line, self._is_open = _paired(line, '"', self._is_open)
        if "'" in line:
            paired, is_open = _paired(line, "'", False)
            line = line if is_open else paired
        return line

    def close_all(self) -> None:
        """Begin anew: no quote goes on beyond a heading."""
        self._is_open = False


def _paired(line: str, straight: str, is_open: bool) -> tuple[str, bool]:
    """The line with curly quotes for these straight ones, and whether one is open at its end."""
    found = _QUOTES[straight].finditer(line)
    places = [each.start() for each in found if not _is_apostrophe(line, each.start())]
    is_open = is_open and _goes_on(line, places)
    characters = list(line)
    for at in places:
        if characters[at] == straight:
            characters[at] = _PAIRS[straight][is_open and not _opens(line, at)]
        is_open = characters[at] == _PAIRS[straight][0]
    return "".join(characters), is_open


def _is_apostrophe(line: str, at: int) -> bool:
    """Whether a quote stands within a Latin word, as in Let's, or by itself."""
    before, after = line[max(at - 1, 0) : at], line[at + 1 : at + 2]
    if not (before + after).strip():
        return True
    return line[at] in "'’" and bool(_LATIN.fullmatch(before) and _LATIN.fullmatch(after))


def _goes_on(line: str, places: list[int]) -> bool:
    """Whether a quote from an earlier line closes in this one or later."""
    if not places:
        return True
    first = places[0]
    return not _opens(line, first) and (len(places) % 2 == 1 or _closes(line, first))


def _opens(line: str, at: int) -> bool:
    """Whether a quote can only be an opening one."""
    if at == len(line) - 1:
        return False
    return line[at - 1] in _BEFORE_OPENING if at else line[1] not in _AFTER_CLOSING


def _closes(line: str, at: int) -> bool:
    """Whether a quote can only be a closing one, if one is open."""
    return at == len(line) - 1 or line[at - 1] in _BEFORE_CLOSING
