"""Messages of a page in English and Chinese, between which language.js switches in the browser.

The page is the same on every machine: DVC hashes it. English is its text, and Chinese stands in the
attributes data-zh, for an element's content, and data-zh-NAME, for its attribute NAME.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from wenmo.core.language import Language, gettext, in_language

LANGUAGES: tuple[Language, Language] = ("en", "zh")

SCRIPT = Path(__file__).with_name("language.js")


@dataclass(frozen=True)
class Both:
    """A piece of a page in both languages."""

    english: Markup
    chinese: Markup

    def __bool__(self) -> bool:
        return bool(self.english)

    def __html__(self) -> Markup:
        if self.english == self.chinese:
            return self.english
        return Markup('<span data-zh="{}">{}</span>').format(str(self.chinese), self.english)


def in_both(tell: Callable[..., str], *arguments: Any) -> Both:
    """What a function tells in each language; a plain string is escaped."""
    (told,) = in_both_each(lambda: [tell(*arguments)])
    return told


def in_both_each(tell: Callable[..., Iterable[str]], *arguments: Any) -> list[Both]:
    """The same for a function that tells several things, which are as many in each language."""
    told: list[list[Markup]] = []
    for each in LANGUAGES:
        with in_language(each):
            told.append([escape(text) for text in tell(*arguments)])
    return [Both(*pair) for pair in zip(*told, strict=True)]


def both(message: str, /, **values: Any) -> Both:
    """A message in each language. Values are escaped; those in both languages are of the same."""

    def said(language: Language) -> Markup:
        with in_language(language):
            text = Markup(gettext(message))  # noqa: S704 (from the source and the catalogue)
        return text.format(**{name: _of(value, language) for name, value in values.items()})

    return Both(said("en"), said("zh")) if values else in_both(gettext, message)


def attribute(name: str, value: Both) -> Markup:
    """An attribute of an element."""
    pair = Markup('{0}="{1}" data-zh-{0}="{2}"')
    return pair.format(name, str(value.english.unescape()), str(value.chinese.unescape()))


def _of(value: Any, language: Language) -> Any:
    if not isinstance(value, Both):
        return value
    return value.english if language == "en" else value.chinese
