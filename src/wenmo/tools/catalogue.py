"""Bring the catalogue up to date with the messages in the source: `make catalogue`.

It adds new messages without a translation, takes out those that are gone, and tells what is left to
translate. Babel, which is needed for nothing else, finds the messages.
"""

import ast
import re
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from string import Formatter
from typing import IO, Any

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir, extract_python
from babel.messages.pofile import read_po, write_po
from jinja2.ext import babel_extract

from wenmo.core.language import CATALOGUE

SOURCE = CATALOGUE.parents[3]
LOCALE = CATALOGUE.parents[1].name
KEYWORDS = {"gettext": None, "ngettext": (1, 2), "N_": None, "both": None}
ERRORS = ("UserError", "ParamsError", "WrongArgumentsError", "StoppedError", "NotVerseError")
"""The errors that a person reads, whose messages need no mark."""
HEADER = r"""# Simplified Chinese. `make catalogue` brings it up to date with the source.
msgid ""
msgstr ""
"Content-Type: text/plain; charset=utf-8\n"
"Content-Transfer-Encoding: 8bit\n"
"Language: zh_CN\n"
"Plural-Forms: nplurals=1; plural=0;\n"

"""


def messages_of_source() -> Catalog:
    """All messages that the modules and templates of wenmo mark."""

    def of_python(file: IO[bytes], *given: Any, **options: Any) -> Iterator[tuple[Any, ...]]:
        yield from extract_python(file, *given, **options)
        file.seek(0)
        yield from error_messages(file)

    def of_commands(file: IO[bytes], *given: Any, **options: Any) -> Iterator[tuple[Any, ...]]:
        yield from of_python(file, *given, **options)
        file.seek(0)
        yield from help_texts(file)

    methods: Any = [
        ("tools/cli.py", of_commands),
        ("**.py", of_python),
        ("**.jinja", babel_extract),
    ]
    found = Catalog(locale=LOCALE)
    for name, _, message, comments, context in extract_from_dir(SOURCE, methods, keywords=KEYWORDS):
        found.add(message, None, [(name, 0)], auto_comments=comments, context=context)
    return found


def error_messages(file: IO[bytes]) -> Iterator[tuple[int, str, str, list[str]]]:
    """The messages that errors are made with, as tuples of Babel's extraction methods.

    Babel by itself would take the pieces of a message that is put together for messages.
    """
    for node in ast.walk(ast.parse(file.read())):
        match node:
            case ast.Call(ast.Name(name), [ast.Constant(str(text)), *_]) if name in ERRORS:
                yield node.lineno, "gettext", text, []


def help_texts(file: IO[bytes]) -> Iterator[tuple[int, str, str, list[str]]]:
    """What `--help` shows: the docstrings of commands, and the help and defaults of their options.

    They are tuples as Babel's extraction methods give them.
    """
    for node in ast.walk(ast.parse(file.read())):
        match node:
            case ast.FunctionDef(decorator_list=[_, *_]) if text := ast.get_docstring(node):
                yield node.lineno, "gettext", text, []
            case ast.keyword(arg="help" | "show_default", value=ast.Constant(value=str(text))):
                yield node.lineno, "gettext", text, []


def read() -> Catalog:
    """The catalogue as it is."""
    with CATALOGUE.open("rb") as file:
        return read_po(file, locale=LOCALE)


def write(catalogue: Catalog) -> None:
    """Write it in order of files, which git merges best; no entry names a line or a date."""
    text = BytesIO()
    write_po(
        text,
        catalogue,
        width=100,
        sort_by_file=True,
        ignore_obsolete=True,
        omit_header=True,
        include_lineno=False,
    )
    CATALOGUE.write_text(HEADER + text.getvalue().decode().strip("\n") + "\n", encoding="utf-8")


def faults() -> Iterator[str]:
    """What is wrong with the catalogue: messages that are missing, stale or not well translated."""
    catalogue, source = read(), messages_of_source()
    wanted = {each.id: each for each in source if each.id}
    found = {each.id: each for each in catalogue if each.id}
    yield from (f"not in the catalogue: {each!r}" for each in wanted.keys() - found.keys())
    yield from (f"no longer in the source: {each!r}" for each in found.keys() - wanted.keys())
    yield from (f"obsolete: {each!r}" for each in catalogue.obsolete)
    for each in found.values():
        if fault := _fault(each):
            yield f"{fault}: {each.id!r}"


def _fault(message: Message) -> str:
    originals = [message.id] if isinstance(message.id, str) else message.id
    translations = [message.string] if isinstance(message.string, str) else message.string or [""]
    if message.fuzzy:
        return "fuzzy"
    if not all(translations):
        return "not translated"
    # `wenmo --help` shows words in brackets, and a code block, as they are.
    wanted = {frozenset(_placeholders(each)) for each in originals}
    if not {frozenset(_placeholders(each)) for each in translations} <= wanted:
        return "other placeholders"
    return ""


def _placeholders(text: str) -> Iterator[str]:
    if re.search(r"\{[a-z_]", text):
        for _, name, form, _ in Formatter().parse(text):
            if name is not None:
                yield f"{name}:{form}"


def main() -> None:
    """Update the file; the exit code is 1 if something is left to do."""
    catalogue = read()
    catalogue.update(messages_of_source(), no_fuzzy_matching=True)
    write(catalogue)
    left = sorted(faults())
    print("\n".join(left) or f"{Path(CATALOGUE).name} is complete")
    sys.exit(bool(left))


if __name__ == "__main__":
    main()
