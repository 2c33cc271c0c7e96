"""Text out of HTML: whole pages, and plain texts in which some tags or entities were left.

libxml2 reads it as browsers do (https://html.spec.whatwg.org/multipage/parsing.html). Plain text
may have what only looks like a tag, such as <Lv.3 火球术>, and that stays.
"""

import html
import re
from collections.abc import Iterator

from lxml import etree
from lxml.html import defs

from wenmo.text.characters import without_space

_LIKE_MARK_UP = re.compile(r"<[a-zA-Z/!?]|&[#a-zA-Z]")
_BRACKET = re.compile(r"<(?:(/?)([a-zA-Z][^\s/<>]*)|([!?]))?")
_REST_OF_TAG = re.compile(r"""(?:[^<>"']|"[^"]{0,1000}"|'[^']{0,1000}'|["'])*>""")
_REST_OF_DECLARATION = re.compile(r"[^<>]{0,1000}>")
# Of office programs, such as <o:p>.
_PREFIXED = re.compile(r"[a-z]+:[a-z]+")
_TOKEN = re.compile(r"(<[^<>]*>?|&[#\w]*;?)")

_NAMES = frozenset(defs.tags) | {"bdi", "data", "dialog", "main", "nobr", "rb", "rtc", "template"}
# They may be left open, so that one without its end is no wonder.
_OPEN = frozenset(
    {
        *("area", "base", "body", "br", "col", "dd", "dt", "embed", "head", "hr", "html", "img"),
        *("input", "li", "link", "meta", "option", "p", "param", "rb", "rp", "rt", "source"),
        *("tbody", "td", "tfoot", "th", "thead", "tr", "track", "wbr"),
    }
)
_LINES = frozenset(defs.block_tags) - {"del", "ins"} | {
    *("article", "aside", "body", "br", "figcaption", "figure", "footer", "header", "head"),
    *("main", "nav", "section"),
}
"""Elements that begin or end a line."""

NO_TEXT = frozenset(
    {
        *("head", "iframe", "noscript", "rp", "rt", "rtc", "script", "select", "style", "svg"),
        *("template", "title"),
    }
)
"""Elements whose content is no text: programs, styles, forms, and the readings beside a word."""

MOST_PASSES = 3
"""Copies are escaped twice now and then: &amp;nbsp;, &lt;br&gt;."""

_OWN_BRACKET = "\x01"
"""Stands for < where it opens no tag; clean texts have no such character."""


def without_mark_up(text: str) -> tuple[str, list[str]]:
    """The text that a reader sees, and the pieces that were left out.

    Every character is in one of them, white space left out: an entity counts as the character that
    it stands for, and the rest of its spelling is left out.
    """
    left_out: list[str] = []
    for _ in range(MOST_PASSES):
        if not _LIKE_MARK_UP.search(text):
            break
        target = _Target()
        parser = etree.HTMLParser(target=target, huge_tree=True)
        marked = _marked(text)
        parser.feed(marked)
        parser.close()
        left_out += target.unseen
        left_out.append("".join(_left_over(marked, "".join(target.read))))
        before, text = text, "".join(target.seen).replace(_OWN_BRACKET, "<")
        if without_space(text) == without_space(before):
            break
    return text, [piece.replace(_OWN_BRACKET, "<") for piece in left_out if piece.strip()]


class _Target:
    """Collects what the parser reads: https://lxml.de/parsing.html#the-target-parser-interface."""

    def __init__(self) -> None:
        self.read: list[str] = []
        self.seen: list[str] = []
        self.unseen: list[str] = []
        self._within: list[str] = []

    def start(self, tag: str, _attributes: object) -> None:
        if tag == "rb" and self._within[-1:] == ["rt"]:
            self._within.pop()
        if tag in NO_TEXT:
            self._within.append(tag)

    def end(self, tag: str) -> None:
        if self._within[-1:] == [tag]:
            self._within.pop()

    def data(self, text: str) -> None:
        self.read.append(text)
        (self.unseen if self._within else self.seen).append(text)

    def close(self) -> None:
        """Nothing is returned."""


def _marked(text: str) -> str:
    """The text with another character for each < that opens no tag, and lines where HTML has them.

    A tag has a name that HTML knows. An element that has to end does so somewhere in the text, or
    has an attribute.
    """
    last_comment = text.rfind("-->")
    ended = {found[2].lower() for found in _BRACKET.finditer(text) if found[1]}

    def opens_a_tag(found: re.Match[str]) -> bool:
        if found[3]:
            if text.startswith("--", found.end()):
                return last_comment > found.end()
            return _REST_OF_DECLARATION.match(text, found.end()) is not None
        rest = _REST_OF_TAG.match(text, found.end()) if found[2] else None
        if rest is None:
            return False
        name = found[2].lower()
        has_to_end = name not in _OPEN and name not in ended and "=" not in found[0] + rest[0]
        return (name in _NAMES and not has_to_end) or bool(_PREFIXED.fullmatch(found[2]))

    def marked(found: re.Match[str]) -> str:
        if not opens_a_tag(found):
            return _OWN_BRACKET + found[0][1:]
        # libxml2 passes over the end of what is not open, as in 雪</p>晴.
        return "\n" + found[0] if (found[2] or "").lower() in _LINES else found[0]

    return _BRACKET.sub(marked, text)


def _left_over(text: str, read: str) -> Iterator[str]:
    """The pieces of a text that are not in what was read of it, in order."""
    kept, at = without_space(read), 0
    for piece in _TOKEN.split(text):
        spelling = without_space(piece)
        # An entity within a program is none.
        if kept.startswith(spelling, at):
            at += len(spelling)
            continue
        meant = without_space(html.unescape(piece)) if piece[:1] == "&" else ""
        if kept.startswith(meant, at) and (meant or piece[:1] in "<&"):
            at += len(meant)
            yield spelling[: len(spelling) - len(meant)]
            continue
        # A piece of which a part is read, such as the last one of a comment.
        for character in spelling:
            if kept[at : at + 1] == character:
                at += 1
            else:
                yield character
