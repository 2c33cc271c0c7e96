"""Task poetry: classical poems, asked for by form or tune and by first line.

Raw data: rows with their verse in a column of `poetry.prepare.columns`, or those of the
chinese-poetry repository (https://github.com/chinese-poetry/chinese-poetry), whose folders may lie
in the task's folder as they are.
"""

import re
import sys
from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from wenmo.config.overrides import command
from wenmo.config.poetry import Columns, PrepareParams
from wenmo.core.errors import UserError
from wenmo.core.language import gettext
from wenmo.core.records import Row, row_id
from wenmo.tasks.raw import TABLES, MalformedRows, check_writable, raw_files, read_table
from wenmo.tasks.task import Document, Prepared
from wenmo.text.asked_verse import NAMED_LINES, NUMERALS
from wenmo.text.cleaning import Rejected, clean
from wenmo.text.patterns import (
    Pattern,
    couplets,
    lines_of_poem,
    of_pattern,
    tune_lines,
    tune_pattern,
    with_marks,
)
from wenmo.text.prosody import recent_style
from wenmo.text.quality import fault
from wenmo.text.verse import form, verse_lines

NO_POEMS = (
    "author*.json", "*/author*.json", "*表面结构字.json", "*intro.json",
    "*rank/*", "*strains/*", "*loader/*", "*error/*", "*蒙学/*", "*四书五经/*",
)  # fmt: skip
"""Files of chinese-poetry without poems: lives, characters, scores, marks, faults, prose."""

_VERSE_KEYS = (
    "paragraphs", "content", "para", "内容", "內容", "正文", "诗文", "詩文", "诗句", "原文",
)  # fmt: skip
_TITLE_KEYS = ("title", "标题", "標題", "题目", "題目", "诗题", "詩題", "诗名")
_BLANK_LINE = re.compile(r"\n[^\S\n]*\n")
_SHORTEST_POEM = 4

# Chinese characters but 囗 (U+56D7) and 〇, which stand for the gaps □ and ○ in poems.
_NO_GAP = re.compile("[\u3400-\u56d6\u56d8-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]*")
_FRAGMENT = re.compile(r"[又斷断殘残逸佚]?句\s*(其?\s*[一二三四五六七八九十百零○〇]+)?")
# An editor's source or another reading, with brackets in it: 黃耳（《紀事》作「黃犬」）寄家書
_EDITORS_NOTE = re.compile(r"[（(](?:[^（）()]|[（(][^（）()]*[）)])*[）)]")
_SUBTITLE = re.compile(r"[·・\s（(]")
# Tunes without a pattern whose poems look like 律诗 or like poems of six lines.
_EVEN_TUNES = (
    "木兰花", "木蘭花", "木兰花令", "木蘭花令", "瑞鹧鸪", "瑞鷓鴣", "抛球乐", "拋毬樂", "抛毬乐",
)  # fmt: skip
_LONGEST_NAME = 7
_NAMES = {lines: name for name, lines in NAMED_LINES.items()}


def read(folder: Path, params: PrepareParams, malformed: MalformedRows) -> Iterator[Document]:
    """The poems, file by file, with the files passed over told on stderr.

    Stanzas parted by a blank line are poems of their own if each has four lines or more in
    couplets; those of a tune belong together. Raises UserError naming file and line.
    """
    passed_over = Counter[str]()
    for path in raw_files(folder, *TABLES, deep=True):
        name = path.relative_to(folder).as_posix()
        if reason := next((each for each in NO_POEMS if fnmatch(name, each)), None):
            passed_over[reason.lstrip("*/")] += 1
            continue
        source, position = name.replace("/", "·"), 0
        for place, title, tune, content in _poems(path, params.columns, malformed):
            try:
                named = gettext("{place}: the poem with its title", place=place)
                check_writable(title + tune + content, named)
            except UserError as error:
                malformed.refuse(error)
                continue
            for poem in [content] if tune else _parted(content):
                yield Document(source, position, poem, title, place=place, tune=tune)
                position += 1
    if passed_over:
        counts = ", ".join(f"{count} {reason}" for reason, count in sorted(passed_over.items()))
        told = gettext("poetry: passed over, since no poems are in there: {files}", files=counts)
        print(told, file=sys.stderr)


def prepare(document: Document, params: PrepareParams) -> Prepared:
    """A poem as one row with a couplet per line, unless it is faulty or not in even couplets.

    A poem to a known tune has a stanza per line. Marks that are missing are added: ， within a
    couplet, 。 at its end, and of a tune those of its pattern.
    """
    cleaned = clean(document.text, params.to_simplified)
    prepared = Prepared(cleaned.characters_read, rejected_pieces=cleaned.rejected)
    verse, notes = _without_notes(cleaned.text)
    title = clean(document.title, params.to_simplified).text
    tune = clean(document.tune, params.to_simplified).text
    pattern = tune_pattern(tune)
    lines = lines_of_poem(verse, pattern)
    reason = _left_out(document, lines, pattern, params) or fault(verse, params.quality)
    if params.prompts == "title" and not title and not tune:
        reason = reason or "untitled"
    if reason:
        prepared.rejected_rows.append(Rejected(reason, cleaned.text))
    else:
        prepared.rejected_pieces += [Rejected("note", note) for note in notes]
        poem = with_marks(verse, pattern or couplets(len(lines), len(lines[0])))
        identity = row_id(document.source, poem)
        prompt = ""  # With `theme`, summarize writes it.
        if params.prompts != "theme":
            wanted = f"填一首《{tune}》" if tune else f"写一首{form_name(lines)}"
            prompt = word_prompt(lines[0], title, wanted, params.prompts)
        row = Row(identity, document.source, document.position, prompt, "", poem)
        prepared.rows.append(row)
    return prepared


def form_name(lines: list[str]) -> str:
    """The name of a poem's form, such as 五言绝句 or 五言诗，共6句.

    绝句 and 律诗 rhyme in level tones. What rhymes in oblique ones is in the old style (古體).
    """
    measure = f"{NUMERALS[len(lines[0])]}言"
    name = _NAMES.get(len(lines), "") if recent_style(lines) else ""
    return f"{measure}{name}" if name else f"{measure}诗，共{len(lines)}句"


def word_prompt(first_line: str, title: str, wanted: str, prompts: str) -> str:
    """The request for what is wanted, such as 写一首五言绝句, by `first_line` or `title`.

    A poem to a tune may have no title.
    """
    if prompts == "title":
        return f"以《{title}》为题，{wanted}。" if title else f"{wanted}。"
    return f"以“{first_line}”为首句，{wanted}。"


def _poems(
    path: Path, columns: Columns, malformed: MalformedRows
) -> Iterator[tuple[str, str, str, str]]:
    """The place, title, tune and content of each poem in a file."""
    verse_keys, title_keys = (columns.content, *_VERSE_KEYS), (columns.title, *_TITLE_KEYS)
    known = (columns.title, columns.content, *verse_keys, *title_keys, "rhythmic")
    for place, row in read_table(path, known, malformed):
        if path.suffix.lower() == ".csv" and not row.keys() & {*verse_keys}:
            raise _no_verse(path, row, columns)
        try:
            verse = _verse(row, verse_keys, place)
        except UserError as error:
            malformed.refuse(error)
            continue
        title = next((str(row[key]) for key in title_keys if row.get(key)), "")
        yield place, title, str(row.get("rhythmic") or "") or _tune_of(title, verse), verse


def _no_verse(path: Path, row: dict[str, str], columns: Columns) -> UserError:
    """The complaint about a CSV's header, with the command for the column of the longest field."""
    longest = max(row, key=lambda name: len(row[name]))
    return UserError(
        "{path}:1: no column {column!r}; found {found}: run `{command}`",
        path=path,
        column=columns.content,
        found=", ".join(row),
        command=command("poetry", "prepare.columns.content", longest),
    )


def _tune_of(title: str, verse: str) -> str:
    """The tune that a title begins with, as in 木兰花令·拟古决绝词.

    Its lines are all alike, or those of its pattern: 清平乐 is the title of other poems, too.
    """
    tune = _SUBTITLE.split(title.strip())[0]
    if len(tune) > _LONGEST_NAME:
        return ""
    pattern = tune_pattern(tune)
    fits = pattern and of_pattern(tune_lines(verse), pattern)
    return tune if fits or tune in _EVEN_TUNES else ""


def _verse(row: dict[str, Any], keys: tuple[str, ...], place: str) -> str:
    """The text at the first of the keys that the row has, a string or a list of them."""
    for key in keys:
        found = row.get(key)
        lines = [found] if isinstance(found, str) else found
        if isinstance(lines, list) and all(isinstance(line, str) for line in lines):
            return "\n".join(lines)
    named = ", ".join(map(repr, dict.fromkeys(keys[:4])))  # Those in Chinese go without saying.
    raise UserError("{place}: expected {named} with verse", place=place, named=named)


def _parted(content: str) -> list[str]:
    """The poems that blank lines part, or the whole if a part is no poem by itself."""
    parts = [part for part in _BLANK_LINE.split(content.replace("\r\n", "\n")) if part.strip()]
    counts = [len(verse_lines(part)) for part in parts]
    if all(count >= _SHORTEST_POEM and count % 2 == 0 for count in counts):
        return parts or [content]
    return [content]


def _without_notes(text: str) -> tuple[str, list[str]]:
    """A poem without an editor's notes, and these; as it is if that leaves no whole poem."""
    verse = _EDITORS_NOTE.sub("", text)
    if len(verse_lines(verse)) < _SHORTEST_POEM:
        return text, []
    return verse, _EDITORS_NOTE.findall(text)


def _left_out(
    document: Document, lines: list[str], tune: Pattern, params: PrepareParams
) -> str | None:
    """The reason to leave out a poem of these lines, or None."""
    if not document.text.strip():
        return "empty"
    if _FRAGMENT.fullmatch(document.title.strip()):
        return "fragment"
    if not all(map(_NO_GAP.fullmatch, lines)):
        return "gaps or notes"
    if tune and not of_pattern(lines, tune):
        return "other form of the tune"
    if tune:
        return "long" if len(lines) > params.max_lines else None
    count, length = form(lines) or (1, 0)
    if count % 2 or not 4 <= length <= 7:
        return "uneven"
    return "long" if count > params.max_lines else None
