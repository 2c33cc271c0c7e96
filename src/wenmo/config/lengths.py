"""Lengths in different sections that exclude each other; those in tokens need a tokenizer."""

from pathlib import Path

from wenmo.config import fairytale, novel
from wenmo.config.generate import Length
from wenmo.config.params_file import Section
from wenmo.core.errors import ParamsError


def refuse_excluded_texts(task: str, prepare: Section, length: Length, path: Path) -> None:
    """Raise ParamsError if no text that is learnt has the length that is asked of answers.

    `prepare` is the task's section of that name, `length` its `generate.length`.
    """
    match prepare:
        case novel.PrepareParams():
            least, most = prepare.passages.minimum, prepare.passages.maximum
            names = "passages.minimum", "passages.maximum"
        case fairytale.PrepareParams():
            least, most = prepare.min_tale_chars, prepare.max_tale_chars
            names = "min_tale_chars", "max_tale_chars"
        case _:
            return
    key = f"{task}.generate.length"
    if least > length.max_chars:
        raise ParamsError(
            "{path}: {key}.max_chars: {found}: every text that is learnt is longer ({bound} is"
            " {least}); set it to {most}",
            path=path,
            key=key,
            found=length.max_chars,
            bound=f"{task}.prepare.{names[0]}",
            least=least,
            most=most,
        )
    if most < length.min_chars:
        raise ParamsError(
            "{path}: {key}.min_chars: {found}: every text that is learnt is shorter ({bound} is"
            " {most}); set it to {least}",
            path=path,
            key=key,
            found=length.min_chars,
            bound=f"{task}.prepare.{names[1]}",
            least=least,
            most=most,
        )
