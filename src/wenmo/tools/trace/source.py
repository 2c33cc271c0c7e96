"""Between raw text and row: where a row comes from, and what came of a raw text."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from wenmo.core.errors import UserError
from wenmo.core.records import Generation, Row
from wenmo.tools.dvc_lock import Lock, raw_folder
from wenmo.tools.trace.address import Address, AddressError
from wenmo.tools.trace.origin import RawText, chapter_at, find_back, raw_texts, test_prompt_places
from wenmo.tools.trace.row import TaskFiles, Traced

Line = tuple[str, str]
"""A label (empty where the heading says it all) and what is told under it."""


def origin(address: Address, row: Traced, files: TaskFiles, lock: Lock) -> Iterator[Line]:
    """The row that was answered, its source and split, and its place in the raw texts."""
    text = next(iter(row.texts.values()), "")
    if row.asked:
        place, asked = row.asked
        yield "answers", place
        text = asked.output
    elif not row.source:
        yield "answers", _unknown(address)
        return
    # Not by its source: a book may be called "test" as well.
    if address.kind == "test" or (row.asked and row.asked[0] in files.test):
        yield from _test_origin(row, files, lock)
        return
    if address.kind == "rejected":
        yield "source", row.source
    else:
        yield "source", _source(row, files)
        yield "split", _split(row.id, files)
    yield from _raw_origin(row, text, lock, files.task)
    if address.kind == "eval":
        yield from _answers(row.id, files)


def what_came_of(address: Address, files: TaskFiles, lock: Lock) -> Iterator[Line]:
    """A line of a raw file: the book, tale, poem or test prompt there, and its rows.

    Raises AddressError if no text stands on the line.
    """
    places = test_prompt_places(address.path.parent)
    if str(address) in places:
        yield from _what_came_of_prompt(places.index(str(address)), files)
        return
    raw = _text_on(address, lock)
    if raw.title:
        yield "title", raw.title
    yield "length", f"{len(raw.text):,} characters"
    prepared = Path(f"data/prepared/{address.task}")
    if not prepared.is_dir():
        way_out = f"`dvc pull` or `dvc repro prepare@{address.task}`"
        yield "rows", f"unknown: {prepared} is not there; {way_out}"
        return
    rows = {
        place: row
        for place, row in files.prepared(raw.source).items()
        if address.task == "novel" or row.position == raw.position
    }
    if not rows:
        yield (
            "rows",
            "none: prepare left it out; with prepare.keep_rejects=true"
            f" data/rejected/{address.task}.jsonl says why",
        )
        return
    yield "rows", _first_to_last(list(rows))
    for label, part in (("learnt", files.train), ("held out", files.held_out)):
        ids = {row.id for row in rows.values()}
        yield label, _first_to_last([place for place, row in part.items() if row.id in ids])


def _what_came_of_prompt(position: int, files: TaskFiles) -> Iterator[Line]:
    for place, row in files.test.items():
        if row.position == position:
            yield "prompt", row.prompt
            yield "row", place
            yield from _answers(row.id, files)
            return
    yield "row", "none yet; run `dvc repro`"


def _unknown(address: Address) -> str:
    held_out = f"data/merged/{address.task}/eval.jsonl"
    if address.kind == "submit":
        asked = f"data/test/{address.task}.jsonl"
        return (
            f"unknown: line {address.line} of {asked} (of {held_out} if that is empty) has another"
            " prompt or is not there"
        )
    return f"unknown: no row of {held_out} has this id"


def _test_origin(row: Traced, files: TaskFiles, lock: Lock) -> Iterator[Line]:
    folder = raw_folder(lock, files.task)
    places = test_prompt_places(folder) if folder else []
    if row.position is not None and row.position < len(places):
        yield "raw text", places[row.position]
    if not row.asked:
        yield from _answers(row.id, files)


def _answers(identity: str, files: TaskFiles) -> Iterator[Line]:
    """Where a prompt is answered."""
    submitted = Path(f"outputs/{files.task}/submit.json")
    found = [
        f"{submitted}:{line}"
        for line, row in enumerate(files.asked.values(), start=1)
        if row.id == identity and submitted.is_file()
    ]
    written: tuple[Mapping[str, Generation], ...] = (files.base, files.tuned)
    found += [place for part in written for place, each in part.items() if each.id == identity]
    if found:
        yield "answered in", "\n".join(found)


def _source(row: Traced, files: TaskFiles) -> str:
    rows = files.prepared(row.source)
    told = f"{row.source}, position {row.position}"
    for place, each in rows.items():
        if (each.id, each.position) == (row.id, row.position):
            return f"{told}: {place}, which has {len(rows)} rows"
    return told


def _split(identity: str, files: TaskFiles) -> str:
    parts: tuple[tuple[str, Mapping[str, Row]], ...] = (
        ("training", files.train),
        ("held out", files.held_out),
    )
    for name, part in parts:
        for place, row in part.items():
            if row.id == identity:
                return f"{name}: {place}"
    if not files.train:
        return f"unknown: data/merged/{files.task}/train.jsonl is not there"
    return "neither training nor held out: merge leaves out repetitions and what is over its bounds"


def _raw_origin(row: Traced, text: str, lock: Lock, task: str) -> Iterator[Line]:
    folder = raw_folder(lock, task)
    if folder is None or not folder.is_dir():
        yield "raw text", f"not there: {folder or 'dvc.lock records no raw folder'}"
        return
    prepare = lock[f"prepare@{task}"].section("prepare")
    try:
        raw = next(
            (
                raw
                for raw in raw_texts(task, folder, prepare)
                if raw.source == row.source and (task == "novel" or raw.position == row.position)
            ),
            None,
        )
        place = _span(raw, text, prepare["to_simplified"]) if raw else ""
    except UserError as error:
        yield "raw text", f"cannot be read: {error}"
        return
    if raw is None:
        yield "raw text", f"no longer in {folder}"
        return
    yield "raw text", ", ".join(filter(None, (raw.place, raw.title)))
    yield "place in it", place


def _span(raw: RawText, text: str, to_simplified: bool) -> str:
    """Where in a raw text a row's text stands, for people."""
    span = find_back(text, raw.text, to_simplified)
    if span is None:
        return "not found back"
    if (span.start, span.end) == (0, len(raw.text)) and span.whole:
        return f"all of its {len(raw.text):,} characters"
    line = raw.text.count("\n", 0, span.start) + 1
    told = (
        f"characters {span.start + 1:,} to {span.end:,} of {len(raw.text):,}, from its line {line}"
    )
    chapter = chapter_at(raw.text, span.start)
    if chapter:
        told += f", in {chapter}"
    if not span.whole:
        told += "; between its ends cleaning took something out"
    if span.times > 1:
        told += f"; the first of {span.times} places where it stands"
    return told


def _text_on(address: Address, lock: Lock) -> RawText:
    """The raw text that a line is of: the last one that starts on it or before."""
    prepare = lock[f"prepare@{address.task}"].section("prepare")
    found = None
    for raw in raw_texts(address.task, address.path.parent, prepare):
        path, _, start = raw.place.rpartition(":")
        # A row of JSON Lines is one line; others may take several.
        reaches = int(start) == address.line or not path.endswith(".jsonl")
        if Path(path) == address.path and int(start) <= address.line and reaches:
            found = raw
    if found is None:
        raise AddressError(f"{address}: no text stands there")
    return found


def _first_to_last(places: list[str]) -> str:
    if len(places) < 2:
        return "".join(places) or "none"
    return f"{len(places)}: {places[0]} to {places[-1].rpartition(':')[2]}"
