"""From what a user types, a theme or a first line, to the prompt that the task is trained on."""

import re

from wenmo.config.poetry import PrepareParams
from wenmo.core.errors import ParamsError
from wenmo.tasks.poetry import word_prompt
from wenmo.text.asked_verse import FORMS
from wenmo.text.verse import verse_lines

DEFAULT_FORM = "五言绝句"

_TALE = re.compile("童话|故事")
_POEM = re.compile("[写作来]一?首|绝句|律诗")
_HAN = re.compile("[〇\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+")


def task_prompt(task: str, typed: str, form: str, poem_prompts: str) -> str:
    """The prompt about what was typed; a text that is a whole prompt stays as it is.

    `form` is one of FORMS. `poem_prompts` is the kind of prompts that poems were trained on
    (poetry.prepare.prompts). For `first_line`, 5 or 7 Chinese characters are a first line, which
    sets the length of the poem's lines; anything else is a title.
    """
    typed = typed.strip()
    if task == "fairytale" and not _TALE.search(typed):
        return f"写一篇关于{typed.rstrip('。')}的童话。"
    if task == "poetry":
        return _poem_prompt(typed, form, poem_prompts)
    return typed


def poem_prompts() -> str:
    """poetry.prepare.prompts of params.yaml."""
    return PrepareParams.load("prepare", "poetry").prompts


def checked_form(name: str) -> str:
    """The same name. Raises ParamsError if there is no such form."""
    if name not in FORMS:
        raise ParamsError(
            "{key}: {value!r}: allowed are {allowed}",
            key="form",
            value=name,
            allowed=", ".join(FORMS),
        )
    return name


def _poem_prompt(typed: str, form: str, poem_prompts: str) -> str:
    if poem_prompts == "theme" or _POEM.search(typed):
        return typed
    lines = verse_lines(typed)
    first = lines[0] if lines else ""
    if (
        poem_prompts == "first_line"
        and len(lines) == 1
        and len(first) in (5, 7)
        and _HAN.fullmatch(first)
    ):
        measures = (FORMS[form][0], len(first))
        name = next(name for name, lines_of in FORMS.items() if lines_of == measures)
        return word_prompt(first, "", f"写一首{name}", "first_line")
    return word_prompt("", typed.strip("《》"), f"写一首{form}", "title")
