"""What is known of a task's preparation, source by source and reason by reason.

Counts come from what prepare wrote, headings and examples from the pieces that it left out. The
encodings and the wrapping of lines are in none of these, so the raw files are read once more, by
the readers that prepare uses.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from wenmo.core.encoding import NAMES, text_encoding
from wenmo.core.errors import UserError
from wenmo.core.language import N_, Message, gettext, ngettext
from wenmo.core.reading import made
from wenmo.core.records import read_json_lines
from wenmo.core.row_files import rows_of_sources
from wenmo.tasks.task import Document
from wenmo.text.cleaning import clean
from wenmo.text.control_characters import visible
from wenmo.text.unwrapping import columns
from wenmo.tools.dvc_lock import Stage, differences, raw_folder, read_lock
from wenmo.tools.task_names import refuse_unknown
from wenmo.tools.trace.origin import raw_documents

EXAMPLES = 2
LONGEST_EXAMPLE = 40
"""Characters."""

COUNTS = ("documents", "characters_read", "rows", "characters")
"""The columns of metrics/prepare/<task>.csv before those of the reasons."""

_ROW_OF_FILE = re.compile(r"(?::\d+|: row \d+)\Z")


@dataclass
class Source:
    """A book, or a file of tales, poems or passages.

    `dropped` counts characters by reason. What a source does not have, or is not known, is empty:
    `encoding`, `wrapping` (such as 40 columns) and, of books alone, the `headings` in their order.
    """

    name: str
    documents: int
    characters_read: int
    rows: int
    characters: int
    dropped: dict[str, int]
    encoding: str = ""
    wrapping: Message = str
    headings: list[str] = field(default_factory=list)

    @property
    def rows_per_character(self) -> float:
        """Few rows for many characters tell that much of the source was left out."""
        return self.rows / max(1, self.characters_read)

    @property
    def kept(self) -> float:
        """The share of characters that are in rows."""
        return self.characters / max(1, self.characters_read)


@dataclass
class Drop:
    """What was left out for one reason; `pieces` is None where they were not kept."""

    reason: str
    characters: int
    pieces: int | None
    examples: list[tuple[str, str]] = field(default_factory=list)
    """Each with the name of its source."""

    def add(self, source: str, text: str) -> None:
        """Count a piece, and keep it as an example if it is another one."""
        self.pieces = (self.pieces or 0) + 1
        if len(self.examples) < EXAMPLES:
            example = shortened(text)
            if example and all(example != each for _, each in self.examples):
                self.examples.append((visible(source), example))


@dataclass
class Inspection:
    """All that the terminal and the page show. `lengths` has a row per bin of rows' lengths."""

    task: str
    notes: list[Message]
    sources: list[Source]
    drops: list[Drop]
    lengths: pd.DataFrame

    def row_lengths(self) -> list[int]:
        """The length of each row in characters."""
        folder, stage = Path("data/prepared") / self.task, f"prepare@{self.task}"
        rows = rows_of_sources(folder, stage)
        total = sum(source.rows for source in self.sources)
        return [len(row.output) for row in _told(rows, f"reading {folder}", total)]


def inspect_task(task: str) -> Inspection:
    """What is known of a task, its sources in order of name.

    Raises UserError for an unknown task, or if prepare has not run.
    """
    refuse_unknown([task])
    lengths = _table(Path(f"plots/prepare/{task}.csv"), "characters", task)
    sources, drops = _counts(_table(Path(f"metrics/prepare/{task}.csv"), "source", task))
    notes: list[Message] = []
    rejected = Path(f"data/rejected/{task}.jsonl")
    _add_pieces(made(rejected, f"prepare@{task}"), sources, drops)
    if drops and not any(drop.pieces for drop in drops.values()):
        notes.append(
            partial(
                gettext,
                N_(
                    "{path} is empty, since prepare.keep_rejects was false: headings and examples"
                    " of what was left out are not known"
                ),
                path=rejected,
            )
        )
    lock = read_lock()
    stage, folder = lock.get(f"prepare@{task}"), raw_folder(lock, task)
    if stage is None or folder is None or not folder.is_dir():
        notes.append(partial(_no_raw_texts, folder))
    else:
        notes += differences(lock, rejected, [stage])
        try:
            _add_raw_facts(sources, stage, folder)
        except UserError as error:
            notes.append(
                partial(
                    gettext,
                    N_("the raw texts cannot be read, so encodings are not known: {error}"),
                    error=error,
                )
            )
    return Inspection(
        task,
        notes,
        [sources[name] for name in sorted(sources)],
        list(drops.values()),
        lengths,
    )


def shortened(text: str, most: int = LONGEST_EXAMPLE) -> str:
    """A text on one line of `most` characters, without what steers a terminal."""
    # A text may be a chapter long.
    line = visible(" ".join(text[: 10 * most].split()))
    return line if len(line) <= most else f"{line[: most - 1]}…"


def _counts(table: pd.DataFrame) -> tuple[dict[str, Source], dict[str, Drop]]:
    """The sources and the reasons by name, as far as prepare's table knows them."""
    reasons = [column for column in table if column not in ("source", *COUNTS)]
    sources = {
        line["source"]: Source(
            name=line["source"],
            **{count: line[count] for count in COUNTS},
            dropped={reason: line[reason] for reason in reasons if line[reason]},
        )
        for line in table.to_dict("records")
    }
    return sources, {reason: Drop(reason, int(table[reason].sum()), None) for reason in reasons}


def _add_pieces(path: Path, sources: Mapping[str, Source], drops: dict[str, Drop]) -> None:
    pieces = read_json_lines(path)
    for place, piece in _told(pieces, f"reading {path}"):
        try:
            source, reason, text = (str(piece[key]) for key in ("source", "reason", "text"))
        except KeyError:
            raise UserError(
                "{place}: not what prepare left out; run `dvc repro`", place=place
            ) from None
        # A piece of nothing, such as an empty poem, is in no column of the table.
        drops.setdefault(reason, Drop(reason, 0, None)).add(source, text)
        if source in sources and reason == "heading":
            sources[source].headings.append(shortened(text))


def _add_raw_facts(sources: Mapping[str, Source], stage: Stage, folder: Path) -> None:
    section = stage.section("prepare")
    documents = raw_documents(stage.task, folder, section)
    total = sum(source.documents for source in sources.values())
    for document in _told(documents, f"reading {folder}", total):
        source = sources.get(document.source)
        if source is None:
            continue
        source.encoding = source.encoding or _encoding(document.place)
        if stage.task == "novel" and not document.is_row:
            source.wrapping = _wrapping(document, bool(section.get("to_simplified")))


def _encoding(place: str) -> str:
    """The name of the encoding of the file in which a document stands; empty for a dataset."""
    path = Path(_ROW_OF_FILE.sub("", place))
    if not path.is_file():
        return ""
    if path.suffix.lower() == ".parquet":
        return "UTF-8"
    name = text_encoding(path).removesuffix("-sig")
    return NAMES.get(name, name.upper())


def _no_raw_texts(folder: Path | None) -> str:
    missing = folder or gettext("dvc.lock records no raw folder")
    return gettext(
        "the raw texts are not there, so encodings are not known: {missing}", missing=missing
    )


def _wrapping(book: Document, to_simplified: bool) -> Message:
    """The width at which the lines of a book were broken, as cleaning finds it; `no` if nowhere."""
    found = clean(book.text, to_simplified, unwrap=True).wrapping
    if found is None:
        return partial(gettext, N_("no"))
    if found.measure is columns:
        return partial(gettext, N_("{count} columns"), count=found.longest)
    return partial(ngettext, "{count} character", "{count} characters", found.longest)


def _told(found: Iterator[Any], doing: str, total: int | None = None) -> Iterator[Any]:
    """The same, with a progress bar when it takes longer than two seconds."""
    return iter(tqdm(found, doing, total, leave=False, delay=2))


def _table(path: Path, first: str, task: str) -> pd.DataFrame:
    """A table that prepare wrote: the column `first`, and columns of whole numbers."""
    complaint = N_("{path}: no such file; run `dvc repro {stage}` first")
    if path.is_file():
        complaint = N_("{path}: not the table that prepare wrote; run `dvc repro {stage}` first")
        try:
            # A book may be named NA.
            table = pd.read_csv(path, dtype={"source": str}, keep_default_na=False)
        except ValueError:  # the base class of pandas' parser errors
            table = pd.DataFrame()
        numbers = table.drop(columns=first, errors="ignore").dtypes
        needed = {first, *COUNTS} if first == "source" else {first}
        is_whole = all(map(pd.api.types.is_integer_dtype, numbers))
        if needed <= {*table} and len(numbers) and is_whole:
            return table
    raise UserError(complaint, path=path, stage=f"prepare@{task}")
