"""The share of passages that differ if the same novels lie on disk in another form.

python -m bench.books data/raw/novel > bench/books.md

The folder holds novels as the task reads them. Each is written again as a text file: wrapped at 40
characters, in other encodings, with CRLF, and as HTML. For Big5, OpenCC makes a simplified novel
traditional (s2tw), and what Big5 lacks is left out; it is compared with the same text in UTF-8.
"""

import html
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import opencc
from bench.rounds import table
from bench.stage_run import ROOT

from wenmo.config.novel import PrepareParams
from wenmo.core.errors import UserError
from wenmo.tasks import novel
from wenmo.tasks.raw import MalformedRows
from wenmo.tasks.task import Document

WIDTH = 40
POINTS = "，。、；：！？…”’」』）》"
MOST = 0.02
"""A share above this is a defect."""

PAGE = """<!DOCTYPE html>
<html><head><meta charset="utf-8"><title>{name}</title><style>p {{text-indent: 2em}}</style></head>
<body><script>if (1 < 2) document.title += "&amp;";</script>
{paragraphs}
</body></html>
"""

Form = Callable[[str], bytes]


def wrapped(text: str, width: int = WIDTH) -> str:
    """Each line cut after `width` characters."""
    lines = (line.rstrip() for line in text.split("\n"))
    cut = ([line[at : at + width] for at in range(0, len(line), width)] for line in lines)
    return "\n".join("\n".join(parts) for parts in cut)


def typeset(text: str, width: int = WIDTH) -> str:
    """Each line cut after at most `width` characters, so that none begins with a point."""
    lines = []
    for line in (line.rstrip() for line in text.split("\n")):
        rest = line
        while len(rest) > width:
            at = next((at for at in range(width, 1, -1) if rest[at] not in POINTS), width)
            lines.append(rest[:at])
            rest = rest[at:]
        lines.append(rest)
    return "\n".join(lines)


def as_page(text: str) -> str:
    """A page with an element for each line, whose spaces are entities."""
    lines = (html.escape(line.strip()).replace(" ", "&nbsp;") for line in text.split("\n"))
    return PAGE.format(name="书", paragraphs="\n".join(f"<p>{line}</p>" for line in lines if line))


FORMS: dict[str, tuple[str, Form]] = {
    "text file": (".txt", str.encode),
    f"wrapped at {WIDTH} characters": (".txt", lambda text: wrapped(text).encode()),
    f"wrapped at {WIDTH}, no point first": (".txt", lambda text: typeset(text).encode()),
    "GB18030": (".txt", lambda text: text.encode("gb18030")),
    "CRLF": (".txt", lambda text: text.replace("\n", "\r\n").encode()),
    "HTML": (".html", lambda text: as_page(text).encode()),
}
"""The ending of a file's name, and its bytes."""

BIG5 = "Big5"


def forms(text: str) -> Iterator[tuple[str, str, bytes, str]]:
    """(form, ending, bytes, the text that they hold) for each form of a novel."""
    for form, (ending, written) in FORMS.items():
        yield form, ending, written(text), text
    traditional = opencc.OpenCC("s2tw").convert(text).encode("cp950", errors="ignore")
    yield BIG5, ".txt", traditional, traditional.decode("cp950")


def passages(document: Document, params: PrepareParams) -> Counter[str]:
    """The passages of a novel."""
    return Counter(row.output for row in novel.prepare(document, params).rows)


def compare(raw: Path, folder: Path) -> list[list[str]]:
    """A row per form: novels, passages, the share that differs, and the novel with the most."""
    params = PrepareParams.load("prepare", "novel", ROOT / "params.yaml")
    plain, differing = Counter[str](), dict[str, Counter[str]]()
    for document in novel.read(raw, params, MalformedRows()):
        known: dict[str, Counter[str]] = {}
        for form, ending, content, text in forms(document.text):
            path = folder / f"{form}/{document.source}{ending}"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
            (found,) = novel.read(path.parent, params, MalformedRows())
            path.unlink()
            if text not in known:
                known[text] = passages(Document(document.source, 0, text), params)
            expected = known[text]
            plain[form] += expected.total()
            differs = (expected - passages(found, params)).total()
            differing.setdefault(form, Counter())[document.source] = differs
    if not plain:
        raise UserError(f"{raw}: no novels")
    return [
        [form, f"{len(own)}", f"{plain[form]:,}", f"{own.total() / plain[form]:.2%}", worst]
        for form, own in differing.items()
        for worst in [" ".join(map(str, own.most_common(1)[0])) if own.total() else ""]
    ]


def main() -> None:
    """Compare and print."""
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("raw", type=Path, help="a folder of novels, as the task reads them")
    with TemporaryDirectory() as folder:
        rows = compare(parser.parse_args().raw, Path(folder))
    heads = ("", "novels", "passages", "differ", "most in")
    print(f"`python -m bench.books data/raw/novel > bench/books.md`\n\n{table(heads, rows)}")


if __name__ == "__main__":
    main()
