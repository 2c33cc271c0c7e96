"""All that is known of one row, in sections of labelled lines."""

import json
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from wenmo.model.card import CARD, HOME_PAGES
from wenmo.tools.dvc_lock import Lock, Stage, differences, maker, read_lock, way
from wenmo.tools.trace.address import RAW, Address
from wenmo.tools.trace.history import Commit, NotCommittedError, commit_of
from wenmo.tools.trace.neighbours import nearest
from wenmo.tools.trace.row import TaskFiles, Traced, read_row
from wenmo.tools.trace.source import Line, origin, what_came_of

Section = tuple[str, list[Line]]
"""A heading and the lines below it."""

_LONGEST_VALUE = 200
_LONGEST_RUN = 60


def trace(address: Address, neighbours: int) -> list[Section]:
    """What is told of a row: itself, its origin, its neighbours, and how its file was made.

    The repository's root must be the current folder, in which nothing is written. Raises UserError
    if the row, or one that goes with it, is malformed.
    """
    lock, files = read_lock(), TaskFiles(address.task)
    if address.kind == RAW:
        return [(f"{address}: raw text ({address.task})", list(what_came_of(address, files, lock)))]
    row, stages = read_row(address, files), _stages(lock, address)
    warnings = differences(lock, address.path, stages)
    sections: list[tuple[str, Iterable[Line]]] = [
        (f"{address}: {row.what} ({address.task})", _about(row)),
        ("Beware", (("!", each) for each in warnings)),
        ("Where it comes from", origin(address, row, files, lock)),
        (_nearest_to(row), _neighbours(row, files, neighbours) if neighbours else ()),
        ("How it was made, the last step first", _made(stages)),
        ("With which models", _models(lock, stages)),
        ("In which commit", _commit(lock, address.path)),
    ]
    return [(heading, found) for heading, lines in sections if (found := list(lines))]


def _about(row: Traced) -> Iterator[Line]:
    yield from (
        (label, value) for label, value in (("id", row.id), ("prompt", row.prompt)) if value
    )
    yield from ((label, text or "（空）") for label, text in row.texts.items())
    yield from row.notes.items()


def _nearest_to(row: Traced) -> str:
    others = "The other training" if row.what == "training row" else "The training"
    what = next(iter(row.texts), "prompt")
    return (
        f"{others} rows nearest to the {what} (share of its pairs of characters that stand there,"
        " rare pairs counting more)"
    )


def _neighbours(row: Traced, files: TaskFiles, count: int) -> Iterator[Line]:
    text = next(iter(row.texts.values()), row.prompt)
    others = [(place, other) for place, other in files.train.items() if other.id != row.id]
    if not others:
        yield "", f"no training rows are there; `dvc pull` or `dvc repro merge@{files.task}`"
        return
    found = nearest(text, [other for _, other in others], count)
    for each in found:
        place, other = others[each.index]
        run, prompt = each.run, " ".join(other.prompt.split())
        shown = run if len(run) <= _LONGEST_RUN else f"{run[:_LONGEST_RUN]}…"
        yield (
            f"{each.similarity:.1%}",
            f"{place}, {other.source} position {other.position}\n{other.id}\nprompt: {prompt}\n"
            f"longest run in common ({len(run)} characters): {shown}",
        )
    if not found:
        yield "", "none has two of its characters on end"


def _stages(lock: Lock, address: Address) -> list[Stage]:
    """The stages that had a part in a file; base wrote its texts without any training."""
    task, generate = address.task, lock.get(f"generate@{address.task}")
    adapter, merged = f"models/adapters/{task}", f"models/merged/{task}"
    if address.kind == "base":
        return way(lock, address.path, (adapter, merged))
    # Base with the adapter wrote the texts, if the merged model did not.
    unmerged = generate is not None and generate.section("generate").get("weights") == "adapter"
    return way(lock, address.path, (merged,) if unmerged else ())


def _made(stages: list[Stage]) -> Iterator[Line]:
    for stage in stages:
        settings = "  ".join(
            f"{key}={_shown(value)}" for key, value in stage.dotted_params().items()
        )
        yield stage.name.partition("@")[0], f"{stage.command}\n{settings}"


def _shown(value: Any) -> str:
    text = value if value and isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


def _models(lock: Lock, stages: list[Stage]) -> Iterator[Line]:
    """Those that generate read, as they were then."""
    generate = next((stage for stage in stages if stage.name.startswith("generate@")), None)
    if generate is None:
        return
    names = [stage.name for stage in stages]
    settings = generate.section("generate")
    if settings.get("engine") == "openai":
        endpoint = settings["openai"]
        yield (
            "endpoint",
            f"{endpoint['base_url']}, which calls base {endpoint['base']!r} and tuned"
            f" {endpoint['tuned']!r}; whether those are the models below is for its owner to say",
        )
    origin = f"{_base_origin(lock)}\n" if "base_model" in lock else ""
    yield "base", origin + _hashed(generate, "models/base")
    if f"train@{generate.task}" in names:
        yield "adapter", _hashed(generate, f"models/adapters/{generate.task}")
        merged = Path(f"models/merged/{generate.task}")
        used = (
            "" if settings.get("weights") == "merged" else "\nnot used: base with the adapter was"
        )
        card = f"\nits card: {merged / CARD}" if (merged / CARD).is_file() else ""
        yield "merged", f"{_hashed(generate, str(merged))}{used}{card}"


def _base_origin(lock: Lock) -> str:
    base = lock["base_model"].section("base_model")
    match base["source"]:
        case "tiny":
            return f"the embedded tiny Qwen2, pre-trained on {base['path']}"
        case "path":
            return f"the folder {base['path']}"
    page = HOME_PAGES.get(base["source"], base["source"])
    of_it = page.format(name=base["name"], revision=base["revision"])
    return f"{base['name']} at commit {base['revision']}, {of_it}"


def _hashed(stage: Stage, path: str) -> str:
    return f"{path}\nmd5 {stage.inputs.get(path, 'not recorded')}"


def _commit(lock: Lock, path: Path) -> Iterator[Line]:
    made = maker(lock, path)
    if made is None:
        return
    stage, output = made
    md5 = stage.outputs[output]
    try:
        commit = commit_of(output, md5)
    except NotCommittedError:
        yield "commit", "not committed: HEAD's dvc.lock does not record this output"
    except (OSError, subprocess.SubprocessError) as error:
        yield "commit", f"unknown: git: {_complaint(error)}"
    else:
        yield "commit", _told(commit)
    yield "output", f"{output}\nmd5 {md5}, as dvc.lock records"


def _told(commit: Commit | None) -> str:
    if commit is None:
        return "unknown: HEAD's dvc.lock records this output, but git log does not show since when"
    if commit.oldest:
        return f"{commit.short} or before: this clone has no older history"
    return f"{commit.short} {commit.day} {commit.subject}"


def _complaint(error: Exception) -> str:
    """In one line, by git itself where it said something."""
    said = getattr(error, "stderr", None) or b""
    return next(iter(said.decode(errors="replace").splitlines()), str(error))
