"""From what a user types, a theme or a first line, to the prompt that the task is trained on."""

import re

from wenmo.config.generate import VerseRule
from wenmo.config.poetry import PrepareParams
from wenmo.core.choices import not_allowed
from wenmo.core.errors import ParamsError
from wenmo.tasks.poetry import word_prompt
from wenmo.text.asked_verse import FORMS, Verse, asked_first_line, asked_pattern
from wenmo.text.certain_readings import named_rhyme
from wenmo.text.patterns import is_tune, pattern_lines, tunes
from wenmo.text.verse import verse_lines

DEFAULT_FORM = "五言绝句"

_TALE = re.compile("童话|故事")
_POEM = re.compile("[填写作来]一?[首阕]|绝句|律诗")
_HAN = re.compile("[〇\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+")


def task_prompt(task: str, typed: str, form: str, poem_prompts: str) -> str:
    """The prompt about what was typed; a text that is a whole prompt stays as it is.

    `form` is one of FORMS or a tune. `poem_prompts` is the kind of prompts that poems were trained
    on (poetry.prepare.prompts). For `first_line`, 5 or 7 Chinese characters are a first line, which
    sets the length of the poem's lines, and for a tune as many as its first line has; anything else
    is a title.
    """
    typed = typed.strip()
    if task == "fairytale" and not _TALE.search(typed):
        return f"写一篇关于{typed.rstrip('。')}的童话。"
    if task == "poetry":
        return _poem_prompt(typed, form, poem_prompts)
    return typed


def has_chinese(typed: str) -> bool:
    """Whether a Chinese character is in it."""
    return bool(_HAN.search(typed))


def poem_prompts() -> str:
    """poetry.prepare.prompts of params.yaml."""
    return PrepareParams.load("prepare", "poetry").prompts


def checked_form(name: str) -> str:
    """The whole name, of 七绝 七言绝句. Raises ParamsError if there is no such form or tune."""
    name = {form[::2]: form for form in FORMS}.get(name, name)
    if name not in FORMS and name not in tunes():
        raise not_allowed("form", name, [*FORMS, *tunes()])
    return name


def verse_of(prompt: str, rule: VerseRule, rhyme: str) -> Verse | None:
    """What the poem of a prompt must keep by a rule; an empty rhyme is the model's to choose.

    Raises ParamsError if it is impossible.
    """
    if rhyme and rule in ("free", "form"):
        raise ParamsError("rhyme: verse is {rule}; set it to rhyme or full", rule=rule)
    if rule == "free":
        return None
    pattern = asked_pattern(prompt)
    if pattern is None:
        raise ParamsError(
            "verse: {prompt!r} names no form such as 五言绝句 and no known tune", prompt=prompt
        )
    found = named_rhyme(rhyme, of_tune=is_tune(pattern)) if rhyme else None
    verse = Verse(rule, pattern, first_line=asked_first_line(prompt) or "", rhyme=found)
    if fault := verse.fault():
        raise ParamsError("verse: {fault}", fault=fault)
    return verse


def _poem_prompt(typed: str, form: str, poem_prompts: str) -> str:
    if poem_prompts == "theme" or _POEM.search(typed):
        return typed
    lines = verse_lines(typed)
    first = lines[0] if poem_prompts == "first_line" and len(lines) == 1 else ""
    if not _HAN.fullmatch(first):
        first = ""
    if form in tunes():
        wanted = f"填一首《{form}》"
        is_first = len(first) == pattern_lines(tunes()[form])[0].length
    else:
        named = {lines_of: name for name, lines_of in FORMS.items()}
        measures = (FORMS[form][0], len(first))
        is_first = measures in named
        wanted = f"写一首{named.get(measures, form)}"
    if is_first:
        return word_prompt(first, "", wanted, "first_line")
    return word_prompt("", typed.strip("《》"), wanted, "title")
