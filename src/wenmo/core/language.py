"""The language of what people read: English, or Chinese from the catalogue.

A message stands in English where it is told; its translation is in the catalogue, which
`make catalogue` keeps complete. Prompts, rows and whatever else DVC hashes are no messages.
"""

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Literal

Language = Literal["en", "zh"]

Message = Callable[[], str]
"""A message that is told later, in each language that it is then asked for in."""

CATALOGUE = Path(__file__).parents[1] / "locale/zh_CN/LC_MESSAGES/wenmo.po"

VARIABLE = "WENMO_LANG"
_VARIABLES = (VARIABLE, "LC_ALL", "LC_MESSAGES", "LANG")

# https://www.gnu.org/software/gettext/manual/html_node/PO-File-Entries.html, as Babel writes them:
# the entry's comments, its message, which may have a plural, and its translation.
_ENTRY = re.compile(
    r'^msgid (?P<message>(?:".*"\n)+)(?:msgid_plural (?:".*"\n)+)?'
    r'msgstr(?:\[0\])? (?P<translation>(?:".*"\n?)+)',
    re.M,
)

_inside: ContextVar[Language | None] = ContextVar("language", default=None)


def language() -> Language:
    """That of the variable WENMO_LANG, else of the locale; English if neither is Chinese."""
    named = (os.environ.get(variable) for variable in _VARIABLES)
    return _inside.get() or language_of(next(filter(None, named), ""))


def language_of(tag: str) -> Language:
    """The language of a locale or a browser: zh, zh_CN.UTF-8 and zh-Hant are Chinese."""
    return "zh" if tag.lower().startswith("zh") else "en"


@contextmanager
def in_language(chosen: Language) -> Iterator[None]:
    """Have messages in a language, whatever the environment says."""
    token = _inside.set(chosen)
    try:
        yield
    finally:
        _inside.reset(token)


def gettext(message: str, /, **values: object) -> str:
    """A message in the reader's language, with the values in its placeholders, if there are any."""
    found = translations().get(message, message) if language() == "zh" else message
    return found.format(**values) if values else found


def ngettext(singular: str, plural: str, count: int, /, **values: object) -> str:
    """`gettext` of what is counted; the placeholder `count` has the number."""
    # The translation, which has no plural, stands beside the singular.
    is_singular = count == 1 or language() == "zh"
    message = singular if is_singular else plural
    return gettext(message, count=count, **values)


def N_(message: str) -> str:  # noqa: N802 (gettext's own name)
    """The same message, marked for the catalogue; `gettext` translates it where it is told."""
    return message


@cache
def translations() -> dict[str, str]:
    """The Chinese translation of each message."""
    entries = _ENTRY.finditer(CATALOGUE.read_text(encoding="utf-8"))
    return {_joined(entry["message"]): _joined(entry["translation"]) for entry in entries}


def _joined(quoted: str) -> str:
    """The text of lines in quotes, whose escapes are those of JSON."""
    return "".join(json.loads(line) for line in quoted.splitlines())
