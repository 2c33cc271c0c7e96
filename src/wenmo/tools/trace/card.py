"""All that is known of one row, in sections of labelled lines."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from wenmo.core.errors import UserError
from wenmo.core.language import N_, gettext
from wenmo.core.records import Row
from wenmo.model.card import HOME_PAGES
from wenmo.report.overview import LEFT_OUT_BY_MERGE, counted_reasons, left_out_by_merge
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

_MODELS = {"base": N_("base model"), "adapters": N_("adapter"), "merged": N_("merged weights")}
"""What is in each folder of models/."""

_LONGEST_VALUE = 200
_LONGEST_RUN = 60


def trace(address: Address, neighbours: int, *, params: bool = False) -> list[Section]:
    """What is known of a row: itself, its origin, its neighbours, and how its file was made.

    `params` adds the parameters of each stage, some fifty in all.
    The repository's root must be the current folder, in which nothing is written. Raises UserError
    if the row, or one that goes with it, is malformed.
    """
    lock, row = read_lock(), read_row(address)
    stages = _stages(lock, address)
    sections: list[tuple[str, Iterable[Line]]] = [
        (
            gettext(
                "{place}: {kind} ({task})",
                place=address,
                kind=gettext(FILES[address.kind][2]),
                task=address.task,
            ),
            _about(row),
        ),
        (gettext("Beware"), (("!", each()) for each in differences(lock, address.path, stages))),
        (gettext("Where it comes from"), _origin(address, row, lock)),
        nearest_rows(
            [address.task],
            next(iter(row.texts.values()), row.prompt),
            row.row.id if row.row else "",
            neighbours,
        ),
        (
            gettext("How it was made, the last step first"),
            _made(lock, address, stages, params=params),
        ),
        (gettext("With which models"), _models(lock, stages)),
    ]
    return [(heading, found) for heading, lines in sections if (found := list(lines))]


def _about(row: Traced) -> Iterator[Line]:
    if row.row and row.row.id:
        yield "id", row.row.id
    if row.prompt:
        yield gettext("prompt"), row.prompt
    yield from ((label, text or "（空）") for label, text in row.texts.items())
    yield from row.notes.items()


def _origin(address: Address, traced: Traced, lock: Lock) -> Iterator[Line]:
    """The row that was answered, its source and split, and its place in the raw texts."""
    row = traced.row
    if row is None:
        yield (
            gettext("answers"),
            gettext("unknown: no row of data/merged or data/test ({task}) fits", task=address.task),
        )
        return
    if traced.place != str(address):
        yield gettext("answers"), traced.place
    prepare, folder = lock.get(f"prepare@{address.task}"), raw_folder(lock, address.task)
    if traced.place.startswith("data/test/"):
        if folder and (place := test_prompt_place(row, folder)):
            yield gettext("raw text"), place
        return
    yield (
        gettext("source"),
        gettext(
            "{source}, position {position} (the first is 0)",
            source=row.source,
            position=row.position,
        ),
    )
    if row.id:
        yield gettext("split"), _split(address.task, row)
    if prepare is None or folder is None or not folder.is_dir():
        missing = folder or gettext("dvc.lock records no raw folder")
        yield gettext("raw text"), gettext("not there: {missing}", missing=missing)
        return
    try:
        yield from raw_place(row, prepare, folder)
    except UserError as error:
        yield gettext("raw text"), gettext("cannot be read: {error}", error=error)


def _split(task: str, row: Row) -> str:
    path = Path(f"data/merged/{task}/train.jsonl")
    learnt, held_out = placed(Row, path), held_out_rows(task)
    for told, rows in ((N_("training: {place}"), learnt), (N_("held out: {place}"), held_out)):
        for place, each in rows.items():
            if each.id == row.id:
                return gettext(told, place=place)
    if not learnt:
        return gettext("unknown: {path} is not there", path=path)
    return _why_left_out(task, row, learnt | held_out)


def _why_left_out(task: str, row: Row, kept: dict[str, Row]) -> str:
    """Why merge left a row out. It records numbers of rows, so that several reasons may be told."""
    for place, other in kept.items():
        if without_space(other.output) == without_space(row.output):
            return gettext("left out by merge: it repeats {place}", place=place)
    reasons = left_out_by_merge(task)
    reasons.pop(gettext(LEFT_OUT_BY_MERGE["duplicate"]), None)
    if not reasons:
        return gettext("not known to merge, which has not run")
    return gettext("left out by merge: one of {reasons}", reasons=counted_reasons(reasons))


def nearest_rows(tasks: Sequence[str], text: str, itself: str, count: int) -> Section:
    """The `count` training rows of the tasks nearest to a text, but for the one with the id."""
    heading = gettext(
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
        yield "", gettext("no training rows are there; `dvc pull` or `dvc repro merge`")
        return
    found = nearest(text, [other for _, other in others], count)
    for each in found:
        (place, other), run = others[each.index], each.run
        shown = run if len(run) <= _LONGEST_RUN else f"{run[:_LONGEST_RUN]}…"
        yield (
            f"{each.similarity:.1%}",
            gettext(
                "{place}, {source}, position {position}\n"
                "{id}\n"
                "prompt: {prompt}\n"
                "longest run in common ({length} characters): {run}",
                place=place,
                source=other.source,
                position=other.position,
                id=other.id,
                prompt=" ".join(other.prompt.split()),
                length=len(run),
                run=shown,
            ),
        )
    if not found:
        yield "", gettext("none has two of its characters on end")


def _stages(lock: Lock, address: Address) -> list[Stage]:
    """The stages that had a part in a file, the last one first."""
    generate = lock.get(f"generate@{address.task}")
    merged = f"models/merged/{address.task}"
    unused = generate and generate.section("generate").get("weights") == "adapter"
    return way(lock, address.path, untouched=merged if unused else "")


def _made(lock: Lock, address: Address, stages: list[Stage], *, params: bool) -> Iterator[Line]:
    for stage in stages:
        own = stage.dotted_params().items() if params else ()
        settings = "  ".join(f"{key}={_shown(value)}" for key, value in own)
        yield stage.name.partition("@")[0], f"{stage.command}\n{settings}".rstrip()
    if made := maker(lock, address.path):
        stage, output = made
        md5 = stage.outputs[output]
        commit = gettext("`git log -S{md5} dvc.lock` names its commit", md5=md5)
        yield gettext("output"), f"{output}\nmd5 {md5}\n{commit}"


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
            gettext("endpoint"),
            gettext(
                "{url}, which calls base {base!r} and tuned {tuned!r}; its owner knows whether"
                " those are the models below",
                url=endpoint.get("base_url"),
                base=endpoint.get("base"),
                tuned=endpoint.get("tuned"),
            ),
        )
    if "base_model" in lock:
        yield gettext("origin"), _base_origin(lock["base_model"].section("base_model"))
    merged_used = settings.get("weights") != "adapter"
    models = {path: md5 for each in writers for path, md5 in each.inputs.items()}
    for path, md5 in models.items():
        if path.startswith("models/") and (merged_used or not path.startswith("models/merged/")):
            yield gettext(_MODELS[path.split("/")[1]]), f"{path}\nmd5 {md5}"


def _base_origin(base: dict[str, Any]) -> str:
    source, name, revision = (base.get(key, "") for key in ("source", "name", "revision"))
    if source in HOME_PAGES:
        page = HOME_PAGES[source].format(name=name, revision=revision)
        return gettext(
            "{name} at commit {revision}, {page}", name=name, revision=revision, page=page
        )
    if source == "tiny":
        return gettext("the tiny model of the tests, pre-trained on {path}", path=base.get("path"))
    return gettext("the folder {path}", path=base.get("path"))
