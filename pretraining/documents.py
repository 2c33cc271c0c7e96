"""Documents: what the base reads, and the files that hold them."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from wenmo.core.records import read_json_lines, write_json_lines
from wenmo.text.verse import form, verse_lines

FORMS = {(4, 5): "五言绝句", (4, 7): "七言绝句", (8, 5): "五言律诗", (8, 7): "七言律诗"}
"""The kinds of poem by (lines, characters per line)."""
NOVEL, STORY = "小说", "故事"
"""The kinds of prose: from a novel, and the repository's own."""


@dataclass(frozen=True)
class Document:
    """A text with its kind.

    `title`, if there is one, stands before the text; `opening` is the request that it answers.
    `copied` is a part of the text that stands in the title or in the request, too.
    """

    kind: str
    text: str
    title: str = ""
    opening: str = ""
    copied: str = ""


def poem_document(lines: list[str]) -> Document | None:
    """The poem with a couplet per line, or None if it has none of FORMS."""
    kind = FORMS.get(form(lines) or (0, 0))
    if kind is None:
        return None
    couplets = zip(lines[::2], lines[1::2], strict=True)
    return Document(kind, "\n".join(f"{upper}，{lower}。" for upper, lower in couplets))


def write(path: Path, documents: Iterable[Document]) -> None:
    """A JSON object per document and line."""
    write_json_lines(path, map(asdict, documents))


def read(path: Path) -> Iterator[Document]:
    """The documents of a file that `write` wrote."""
    for _, content in read_json_lines(path):
        yield Document(**content)


def learnt_lines(documents: Iterable[Document]) -> frozenset[str]:
    """All verse lines of the poems."""
    poems = (each.text for each in documents if each.kind in FORMS.values())
    return frozenset(line for poem in poems for line in verse_lines(poem))
