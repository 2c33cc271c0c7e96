"""All that is known of one row, in sections of labelled lines."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from wenmo.core.errors import UserError
from wenmo.core.records import Row
from wenmo.model.card import HOME_PAGES
from wenmo.report.overview import LEFT_OUT_BY_MERGE, left_out_by_merge
from wenmo.text.characters import without_space
from wenmo.tools.dvc_lock import Lock, Stage, differences, maker, raw_folder, read_lock, way
from wenmo.tools.trace.address import FILES, Address
from wenmo.tools.trace.neighbours import nearest
from wenmo.tools.trace.origin import raw_place, test_prompt_place
from wenmo.tools.trace.row import Traced, held_out_rows, placed, read_row

Line = tuple[str, str]
"""A label (empty where the heading says it all) and what stands beside it."""

Section = tuple[str, list[Line]]
"""A heading and the lines below it."""

_LONGEST_VALUE = 200
_LONGEST_RUN = 60


def trace(address: Address, neighbours: int) -> list[Section]:
    """What is known of a row: itself, its origin, its neighbours, and how its file was made.

    The repository's root must be the current folder, in which nothing is written. Raises UserError
    if the row, or one that goes with it, is malformed.
    """
    lock, row = read_lock(), read_row(address)
    stages = _stages(lock, address)
    sections: list[tuple[str, Iterable[Line]]] = [
        (f"{address}: {FILES[address.kind][2]} ({address.task})", _about(row)),
        ("Beware", (("!", each) for each in differences(lock, address.path, stages))),
        ("Where it comes from", _origin(address, row, lock)),
        nearest_rows(
            [address.task],
            next(iter(row.texts.values()), row.prompt),
            row.row.id if row.row else "",
            neighbours,
        ),
        ("How it was made, the last step first", _made(lock, address, stages)),
        ("With which models", _models(lock, stages)),
    ]
    return [(heading, found) for heading, lines in sections if (found := list(lines))]


def _about(row: Traced) -> Iterator[Line]:
    if row.row and row.row.id:
        yield "id", row.row.id
    if row.prompt:
        yield "prompt", row.prompt
    yield from ((label, text or "（空）") for label, text in row.texts.items())
    yield from row.notes.items()


def _origin(address: Address, traced: Traced, lock: Lock) -> Iterator[Line]:
    """The row that was answered, its source and split, and its place in the raw texts."""
    row = traced.row
    if row is None:
        yield "answers", f"unknown: no row of data/merged or data/test ({address.task}) fits"
        return
    if traced.place != str(address):
        yield "answers", traced.place
    prepare, folder = lock.get(f"prepare@{address.task}"), raw_folder(lock, address.task)
    if traced.place.startswith("data/test/"):
        if folder and (place := test_prompt_place(row, folder)):
            yield "raw text", place
        return
    yield "source", f"{row.source}, position {row.position}"
    if row.id:
        yield "split", _split(address.task, row)
    if prepare is None or folder is None or not folder.is_dir():
        yield "raw text", f"not there: {folder or 'dvc.lock records no raw folder'}"
        return
    try:
        yield from raw_place(row, prepare, folder)
    except UserError as error:
        yield "raw text", f"cannot be read: {error}"


def _split(task: str, row: Row) -> str:
    learnt = placed(Row, Path(f"data/merged/{task}/train.jsonl"))
    for name, rows in (("training", learnt), ("held out", held_out_rows(task))):
        for place, each in rows.items():
            if each.id == row.id:
                return f"{name}: {place}"
    if not learnt:
        return f"unknown: data/merged/{task}/train.jsonl is not there"
    return _why_left_out(task, row, learnt | held_out_rows(task))


def _why_left_out(task: str, row: Row, kept: dict[str, Row]) -> str:
    """Why merge left a row out. It records numbers of rows, so that several reasons may be told."""
    for place, other in kept.items():
        if without_space(other.output) == without_space(row.output):
            return f"left out by merge: it repeats {place}"
    reasons = left_out_by_merge(task)
    reasons.pop(LEFT_OUT_BY_MERGE["duplicate"], None)
    told = ", ".join(f"{count:,} {reason}" for reason, count in reasons.items())
    return f"left out by merge: one of {told}" if told else "not known to merge, which has not run"


def nearest_rows(tasks: Sequence[str], text: str, itself: str, count: int) -> Section:
    """The `count` training rows of the tasks nearest to a text, but for the one with the id."""
    heading = (
        "The training rows nearest to the text (share of its pairs of characters that stand there;"
        " rare pairs count more)"
    )
    return heading, list(_neighbours(tasks, text, itself, count)) if count else []


def _neighbours(tasks: Sequence[str], text: str, itself: str, count: int) -> Iterator[Line]:
    others = [
        (place, other)
        for task in tasks
        for place, other in placed(Row, Path(f"data/merged/{task}/train.jsonl")).items()
        if other.id != itself
    ]
    if not others:
        yield "", "no training rows are there; `dvc pull` or `dvc repro merge`"
        return
    found = nearest(text, [other for _, other in others], count)
    for each in found:
        (place, other), run = others[each.index], each.run
        shown = run if len(run) <= _LONGEST_RUN else f"{run[:_LONGEST_RUN]}…"
        yield (
            f"{each.similarity:.1%}",
            f"{place}, {other.source} position {other.position}\n{other.id}\n"
            f"prompt: {' '.join(other.prompt.split())}\n"
            f"longest run in common ({len(run)} characters): {shown}",
        )
    if not found:
        yield "", "none has two of its characters on end"


def _stages(lock: Lock, address: Address) -> list[Stage]:
    """The stages that had a part in a file, the last one first."""
    generate = lock.get(f"generate@{address.task}")
    merged = f"models/merged/{address.task}"
    unused = generate and generate.section("generate").get("weights") == "adapter"
    return way(lock, address.path, untouched=merged if unused else "")


def _made(lock: Lock, address: Address, stages: list[Stage]) -> Iterator[Line]:
    for stage in stages:
        params = stage.dotted_params().items()
        settings = "  ".join(f"{key}={_shown(value)}" for key, value in params)
        yield stage.name.partition("@")[0], f"{stage.command}\n{settings}"
    if made := maker(lock, address.path):
        stage, output = made
        md5 = stage.outputs[output]
        yield "output", f"{output}\nmd5 {md5}; `git log -S{md5} dvc.lock` names its commit"


def _shown(value: Any) -> str:
    text = value if value and isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


def _models(lock: Lock, stages: list[Stage]) -> Iterator[Line]:
    """The models that wrote the texts, as they were then."""
    writers = [each for each in stages if each.name.startswith(("generate@", "baseline@"))]
    if not writers:
        return
    settings = writers[0].section("generate")
    if settings.get("engine") == "openai":
        endpoint = settings.get("openai", {})
        yield (
            "endpoint",
            f"{endpoint.get('base_url')}, which calls base {endpoint.get('base')!r} and tuned"
            f" {endpoint.get('tuned')!r}; its owner knows whether those are the models below",
        )
    if "base_model" in lock:
        yield "origin", _base_origin(lock["base_model"].section("base_model"))
    merged_used = settings.get("weights") != "adapter"
    models = {path: md5 for each in writers for path, md5 in each.inputs.items()}
    for path, md5 in models.items():
        if path.startswith("models/") and (merged_used or not path.startswith("models/merged/")):
            yield path.split("/")[1], f"{path}\nmd5 {md5}"


def _base_origin(base: dict[str, Any]) -> str:
    source, name, revision = (base.get(key, "") for key in ("source", "name", "revision"))
    if source in HOME_PAGES:
        page = HOME_PAGES[source].format(name=name, revision=revision)
        return f"{name} at commit {revision}, {page}"
    if source == "tiny":
        return f"the tiny model of the tests, pre-trained on {base.get('path')}"
    return f"the folder {base.get('path')}"
