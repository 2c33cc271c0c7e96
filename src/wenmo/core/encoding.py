"""Text files in the encodings of Chinese text: UTF-8, UTF-16, GB18030 (with GBK) and Big5.

A byte-order mark or validity tells UTF-8 and UTF-16. Between GB18030 and Big5, charset-normalizer
chooses by how natural the text would be (https://charset-normalizer.readthedocs.io). Files are read
a piece at a time, so that they may be larger than the memory.
"""

import codecs
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from wenmo.core.errors import UserError
from wenmo.core.language import gettext
from wenmo.core.outside import MIB, opened, read_bytes

MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}

GB: tuple[str, ...] = ("gb18030",)
BIG5: tuple[str, ...] = ("cp950", "big5hkscs", "big5")
"""Big5 as Windows writes it, with the signs of Hong Kong, and as its standard has it."""

NAMES = {"gb18030": "GB18030", **dict.fromkeys(BIG5, "Big5")}

SAMPLE = 64 * 1024
"""Bytes that are enough to tell GB18030 from Big5; 200 hardly ever fail."""

MOST_BROKEN = 0.1
"""Share of broken characters up to which a file is UTF-8 with some damage. Other encodings read as
UTF-8 have nearly all of them broken."""

UNNATURAL, ALIKE = 0.12, 0.5
"""Above this `chaos`, or with less between the two, charset-normalizer's choice is doubtful. Books
of 1,000 characters have less than 0.07, and the other encoding cannot read them at all."""

USUAL = "\n，。、！？：；“”「」的了是不一我他"
"""Marks and the commonest characters."""


class _Choice(NamedTuple):
    names: tuple[str, ...]
    is_doubtful: bool


def read_text(path: Path) -> str:
    """The text of a file, whose encoding is told on stderr if it is doubtful.

    Raises UserError for any other encoding, and for a damaged file with the line of the damage.
    """
    encoding = text_encoding(path).removesuffix("-sig")
    content = read_bytes(path).removeprefix(codecs.BOM_UTF8)
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
    raise UserError(
        "{path}:{line}: not {encoding}; save the file as UTF-8",
        path=path,
        line=line,
        encoding=encoding,
    )


def text_encoding(path: Path) -> str:
    """Python's name of a file's encoding, which is told on stderr if it is doubtful.

    Raises UserError for any other encoding. A file whose mark is UTF-8's or UTF-16's, and one that
    is UTF-8 almost everywhere, may still be damaged.
    """
    status = path.stat()
    return _encoding(path, status.st_size, status.st_mtime_ns)


# Raw texts are read twice, and are told once.
@lru_cache(maxsize=1000)
def _encoding(path: Path, _size: int, _changed: int) -> str:
    with opened(path) as file:
        start = file.read(MIB)
    for mark, name in MARKS.items():
        if start.startswith(mark):
            return name
    if _damage(path, "utf-8") is None:
        return "utf-8"
    utf16 = _utf16(path, start) if b"\0" in start else None
    if utf16:
        return utf16
    sample = _sample(path)
    if _is_damaged_utf8(sample):
        return "utf-8"
    choice = _choice(sample)
    lines = []
    for name in choice.names:
        damage = _damage(path, name)
        if damage is None:
            if choice.is_doubtful:
                told = gettext(
                    "{path}: read as {encoding}, which is uncertain; if its text is wrong, save"
                    " the file as UTF-8",
                    path=path,
                    encoding=NAMES[name],
                )
                print(told, file=sys.stderr)
            return name
        lines.append(damage[0])
    raise UserError(
        "{path}:{line}: not UTF-8, GB18030 or Big5, or damaged; save the file as UTF-8",
        path=path,
        line=max(lines),
    )


def damaged_utf8(path: Path) -> UserError:
    """The complaint about the first line of a file that is no UTF-8."""
    damage = _damage(path, "utf-8")
    if damage is None:
        return UserError("{path}: changed while it was read; run again", path=path)
    line, reason = damage
    return UserError("{path}:{line}: not UTF-8: {reason}", path=path, line=line, reason=reason)


def _damage(path: Path, encoding: str) -> tuple[int, str] | None:
    """The number of the first line that is not in this encoding, and what is wrong there."""
    decoder = codecs.getincrementaldecoder(encoding)()
    line = 1
    for piece in _pieces(path):
        try:
            decoder.decode(piece, final=not piece)
        except UnicodeDecodeError as error:
            # What the decoder kept of the piece before has no line end.
            at = error.start - (len(error.object) - len(piece))
            return line + piece.count(b"\n", 0, max(0, at)), gettext(error.reason)
        line += piece.count(b"\n")
    return None


def _pieces(path: Path) -> Iterator[bytes]:
    """A file piece by piece, the last one empty."""
    with opened(path) as file:
        while piece := file.read(MIB):
            yield piece
    yield b""


def _utf16(path: Path, start: bytes) -> str | None:
    """UTF-16 without a mark, in the byte order that gives more of the usual characters."""
    name = max(("utf-16-le", "utf-16-be"), key=lambda name: _usual(start, name))
    return name if _usual(start, name) and _damage(path, name) is None else None


def _usual(sample: bytes, encoding: str) -> int:
    text = sample.decode(encoding, errors="replace")
    return sum(map(text.count, USUAL))


def _sample(path: Path) -> bytes:
    """The first lines of a file that are not ASCII alone, without the line end."""
    sample = bytearray()
    with opened(path) as file:
        while len(sample) < SAMPLE and (line := file.readline(SAMPLE)):
            if not line.isascii():
                sample += line
    return bytes(sample)


def _is_damaged_utf8(sample: bytes) -> bool:
    text = sample.decode("utf-8", errors="replace")
    broken = text.count("\ufffd")
    # GB18030 has many pairs of bytes that are letters in UTF-8, and hardly a Chinese character.
    chinese = sum(character >= "\u2000" for character in text) - broken
    return broken <= MOST_BROKEN * chinese


def _choice(sample: bytes) -> _Choice:
    """The encodings to try, the likeliest first."""
    from charset_normalizer import from_bytes

    # The sample may end within a character, which has up to four bytes.
    for cut in range(4):
        found = from_bytes(
            sample[: len(sample) - cut],
            cp_isolation=[*GB, *BIG5],
            threshold=1.0,
            preemptive_behaviour=False,
            enable_fallback=False,
        )
        best = found.best()
        if best is None:
            continue
        likely, other = (GB, BIG5) if best.encoding in GB else (BIG5, GB)
        others = [each.chaos for each in found if each.encoding in other]
        is_close = bool(others) and min(others) - best.chaos < ALIKE
        if is_close:
            # A few characters are too little for statistics.
            likely, other = sorted((GB, BIG5), key=lambda names: -_usual(sample, names[0]))
        return _Choice((*likely, *other), best.chaos > UNNATURAL or is_close)
    return _Choice(GB + BIG5, True)
