"""JSON that is read piece by piece, so that a text may be longer than the memory."""

import json
import re
from pathlib import Path
from typing import Any, TextIO

from wenmo.core.errors import UserError
from wenmo.core.language import gettext
from wenmo.core.outside import DECODER, LONGEST_LINE, MIB, json_fault, refuse_depth

PIECE = 2**20
"""Characters that are read at a time."""

LONGEST_LITERAL = len("-Infinity")

_BLANK = re.compile(r"[ \t\r\n]*")


class JsonText:
    """A JSON text that is read piece by piece, with the line of the next character.

    https://docs.python.org/3/library/json.html#json.JSONDecoder.raw_decode
    """

    def __init__(self, file: TextIO, path: Path) -> None:
        self._file, self.path = file, path
        self._text, self._at, self.line = "", 0, 1

    def next_character(self) -> str:
        """The next character that is no white space, which stays there; empty at the end."""
        while True:
            blank = _BLANK.match(self._text, self._at)
            self._go_to(blank.end() if blank else self._at)
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._read_on():
                return ""

    def pass_over(self) -> None:
        """Go on behind the next character."""
        self._go_to(self._at + 1)

    def value(self) -> Any:
        """The value that begins here. Raises UserError if it is no JSON."""
        while True:
            try:
                value, end = DECODER.raw_decode(self._text, self._at)
                refuse_depth(value)
            except json.JSONDecodeError as error:
                is_cut = error.msg.startswith("Unterminated string") or (
                    error.pos >= len(self._text) - LONGEST_LITERAL
                )
                if not is_cut or not self._read_on():
                    reason = gettext("not JSON: {reason}", reason=gettext(error.msg))
                    raise self.fault(reason, error.pos) from None
            except (ValueError, RecursionError) as error:
                raise self.fault(json_fault(error)) from None
            else:
                # A number at the end of what is read may go on.
                if end < len(self._text) or not self._read_on():
                    self._go_to(end)
                    return value

    def fault(self, reason: str, at: int | None = None) -> UserError:
        """The complaint about what is here, or in the text at `at`."""
        line = self.line + self._text.count("\n", self._at, at or self._at)
        return UserError("{place}: {error}", place=f"{self.path}:{line}", error=reason)

    def _go_to(self, end: int) -> None:
        self.line += self._text.count("\n", self._at, end)
        self._at = end

    def _read_on(self) -> bool:
        """Read another piece, at least as long as what is kept; whether there was one.

        Raises UserError if what is kept is longer than a row may be.
        """
        if len(self._text) - self._at > LONGEST_LINE:
            raise self.fault(gettext("a row longer than {size} MiB", size=LONGEST_LINE // MIB))
        piece = self._file.read(max(PIECE, len(self._text) - self._at))
        if piece:
            self._text, self._at = self._text[self._at :] + piece, 0
        return bool(piece)
