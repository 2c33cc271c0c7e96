"""The row that an address names, whatever the shape of its file, and the data row behind it.

All paths are relative to the repository's root, which must be the current folder.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from wenmo.core.errors import UserError, WrongArgumentsError
from wenmo.core.language import N_, gettext
from wenmo.core.records import Generation, Record, Row, read_json_lines, read_records
from wenmo.report.names import score_name
from wenmo.tasks.raw import text_fields
from wenmo.tasks.task import ALPACA
from wenmo.tools.trace.address import PAGE, Address

Content = TypeVar("Content")

_ENDINGS = {
    "stop": N_("by itself, {tokens} tokens ({reason})"),
    "length": N_("cut off at the longest answer, {tokens} tokens ({reason})"),
}
_OTHER_ENDING = N_("for another reason, {tokens} tokens ({reason})")


@dataclass(frozen=True)
class Traced:
    """A prompt and its texts; neighbours are sought for the first of the texts.

    `row` is the data row that the address names or that a model answered, and `place` is its
    path:line; both are empty where they are not known.
    """

    prompt: str
    texts: dict[str, str]
    place: str = ""
    row: Row | None = None
    notes: dict[str, str] = field(default_factory=dict)


def read_row(address: Address) -> Traced:
    """The row of an address. Raises UserError as path:line if it is malformed or not there."""
    match address.kind:
        case "base" | "tuned":
            return _generation(address)
        case "submit":
            return _submitted(address)
        case "scores":
            (identity,) = text_fields(_line(address), ("id",), str(address))
            return _held_out_row(address, identity)
        case "rejected":
            return _rejected(address)
    if address.kind == PAGE:
        return _article(address)
    row = _at(address, placed(Row, address.path))
    return Traced(
        row.prompt, {gettext("text"): row.output} if row.output else {}, str(address), row
    )


def placed(kind: type[Record], path: Path) -> dict[str, Record]:
    """The records of a file by their path:line; none where there is no file."""
    if not path.is_file():
        return {}
    places = [place for place, _ in read_json_lines(path)]
    return dict(zip(places, read_records(kind, path), strict=True))


def held_out_rows(task: str) -> dict[str, Row]:
    """The held-out rows of a task by their path:line."""
    return placed(Row, Path(f"data/merged/{task}/eval.jsonl"))


def _line(address: Address) -> dict[str, Any]:
    return _at(address, dict(read_json_lines(address.path)))


def _at(address: Address, lines: Mapping[str, Content]) -> Content:
    if str(address) not in lines:
        raise WrongArgumentsError(
            "{path}: no line {line}; the file has {count} rows",
            path=address.path,
            line=address.line,
            count=len(lines),
        )
    return lines[str(address)]


def _rejected(address: Address) -> Traced:
    content = _line(address)
    reason, source, text = text_fields(content, ("reason", "source", "text"), str(address))
    row = Row("", source, content.get("document", 0), "", "", text)
    left_out = {gettext("left out as"): gettext(reason)}
    return Traced("", {gettext("text"): text}, str(address), row, left_out)


def _generation(address: Address) -> Traced:
    lines = placed(Generation, address.path)
    written = _at(address, lines)
    draws = [place for place, each in lines.items() if each.id == written.id]
    notes = {gettext("ended"): _ending(written)}
    if len(draws) > 1:
        number = draws.index(str(address)) + 1
        notes[gettext("draw")] = gettext("{number} of {count}", number=number, count=len(draws))
    texts = {gettext("text"): written.text, gettext("reference"): written.reference}
    return Traced(written.prompt, texts, *_answered(address.task, written.id), notes)


def _submitted(address: Address) -> Traced:
    instruction, input_, text = text_fields(_line(address), ALPACA, str(address))
    prompt = "\n".join(filter(None, (instruction, input_)))
    # submit.json answers the test prompts line by line, or the held-out rows if there are none.
    asked = placed(Row, Path(f"data/test/{address.task}.jsonl")) or held_out_rows(address.task)
    place, row = next(iter([*asked.items()][address.line - 1 :]), ("", None))
    if row is None or row.prompt != prompt:
        return Traced(prompt, {gettext("text"): text})
    reference = {gettext("reference"): row.output} if row.output else {}
    return Traced(prompt, {gettext("text"): text} | reference, place, row)


def _article(address: Address) -> Traced:
    """The page gives an article the start of its row's id, and the row's number."""
    found = re.fullmatch(r"([0-9a-f]{12})-[0-9]+", address.article)
    page = address.path.read_text(encoding="utf-8", errors="replace")
    if not found or f'id="{address.article}"' not in page:
        raise WrongArgumentsError(
            "{path}: there is no row #{article} on the page",
            path=address.path,
            article=address.article,
        )
    return _held_out_row(address, found[1])


def _held_out_row(address: Address, identity: str) -> Traced:
    """Every text of the row whose id begins so, with where each stands and how it ended."""
    texts, notes, last = {}, {}, None
    for model in (N_("tuned"), N_("base")):
        path = Path(f"outputs/{address.task}/eval.{model}.jsonl")
        draws = {
            place: each
            for place, each in placed(Generation, path).items()
            if each.id.startswith(identity)
        }
        for number, (place, last) in enumerate(draws.items(), start=1):
            label = gettext(model)
            if len(draws) > 1:
                label = gettext(
                    "{model}, {number} of {count}", model=label, number=number, count=len(draws)
                )
            texts[gettext("text of {model}", model=label)] = last.text
            notes[label] = gettext("{place}, ended {how}", place=place, how=_ending(last))
    if last is None:
        raise UserError(
            "{address}: outputs/{task} has no such row; `dvc pull` or `dvc repro report@{task}`",
            address=address,
            task=address.task,
        )
    texts[gettext("reference")] = last.reference
    notes |= _scores(address.task, last.id)
    return Traced(last.prompt, texts, *_answered(address.task, last.id), notes)


def _scores(task: str, identity: str) -> dict[str, str]:
    """The row's scores in reports/<task>.jsonl, each the mean of its texts'."""
    path = Path(f"reports/{task}.jsonl")
    told = {}
    for place, content in read_json_lines(path) if path.is_file() else ():
        for model in ("tuned", "base"):
            scores = content.get(model)
            if content.get("id") != identity or not isinstance(scores, dict):
                continue
            if not all(isinstance(value, int | float) for value in scores.values()):
                raise UserError(
                    "{place}: the scores of {model} are not numbers alone", place=place, model=model
                )
            named = (f"{score_name(key)} {value:.4g}" for key, value in scores.items())
            label = gettext("scores of {model}", model=gettext(model))
            told[label] = gettext(", ").join(named)
    return told


def _answered(task: str, identity: str) -> tuple[str, Row | None]:
    """The held-out row with this id, and its place."""
    rows = held_out_rows(task).items()
    return next(((place, row) for place, row in rows if row.id == identity), ("", None))


def _ending(written: Generation) -> str:
    how = _ENDINGS.get(written.finish_reason, _OTHER_ENDING)
    return gettext(how, tokens=written.tokens, reason=written.finish_reason)
