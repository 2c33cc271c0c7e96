"""From what a reader types, a theme or a first line, to the request that a task's rows have."""

import re

from wenmo.core.errors import ParamsError
from wenmo.tasks.poetry import word_prompt
from wenmo.text.verse import verse_lines

FORMS = {"五言绝句": (4, 5), "七言绝句": (4, 7), "五言律诗": (8, 5), "七言律诗": (8, 7)}
"""Forms of poems to ask for: lines, and characters a line."""

_TALE = re.compile("童话|故事")
_POEM = re.compile("[写作来]一?首|绝句|律诗")
_HAN = re.compile("[〇\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+")


def request(task: str, typed: str, form: str, prompts: str) -> str:
    """What the model is asked; a request that is whole is left as it is.

    `form` is one of FORMS, and `prompts` what poems were asked for by in training
    (poetry.prepare.prompts): a first line is one of 5 or 7 Chinese characters, of which the
    form's lines then are; anything else is a title.
    """
    typed = typed.strip()
    if task == "fairytale" and not _TALE.search(typed):
        return f"写一篇关于{typed.rstrip('。')}的童话。"
    if task == "poetry":
        return _of_poem(typed, form, prompts)
    return typed


def form_named(name: str) -> str:
    """The same name. Raises ParamsError if it is no form."""
    if name not in FORMS:
        raise ParamsError(f"form: {name!r}: allowed are {', '.join(FORMS)}")
    return name


def _of_poem(typed: str, form: str, prompts: str) -> str:
    if prompts == "theme" or _POEM.search(typed):
        return typed
    count, length = FORMS[form]
    lines = verse_lines(typed)
    first = lines[0] if lines else ""
    if (
        prompts == "first_line"
        and len(lines) == 1
        and len(first) in (5, 7)
        and _HAN.fullmatch(first)
    ):
        return word_prompt([first] * count, "", "first_line")
    return word_prompt(["一" * length] * count, typed.strip("《》"), "title")
