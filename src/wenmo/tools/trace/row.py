"""The row that an address names, whatever the shape of its file, and the rows that it goes with.

All paths are relative to the repository's root, which must be the current folder.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

from wenmo.core.errors import UserError
from wenmo.core.records import Generation, Record, Row, read_json_lines, read_records
from wenmo.tasks.raw import text_fields
from wenmo.tasks.task import ALPACA
from wenmo.tools.trace.address import Address, AddressError

_ROWS = {
    "prepared": "row that prepare made",
    "summarized": "row with its prompt",
    "train": "training row",
    "eval": "held-out row",
    "test": "test prompt",
}
_MISSING = "what base and tuned wrote is not there; `dvc pull` or `dvc repro generate@{task}`"


class TaskFiles:
    """A task's files, each read when it is first asked for; one that is not there has no records.

    A malformed record raises UserError as path:line.
    """

    def __init__(self, task: str) -> None:
        self.task = task

    @cached_property
    def train(self) -> dict[str, Row]:
        """Training rows."""
        return placed(Row, Path(f"data/merged/{self.task}/train.jsonl"))

    @cached_property
    def held_out(self) -> dict[str, Row]:
        """Held-out rows."""
        return placed(Row, Path(f"data/merged/{self.task}/eval.jsonl"))

    @cached_property
    def asked(self) -> dict[str, Row]:
        """The rows that submit.json answers, line by line: test prompts or else held-out rows."""
        return self.test or self.held_out

    @cached_property
    def test(self) -> dict[str, Row]:
        """Test prompts."""
        return placed(Row, Path(f"data/test/{self.task}.jsonl"))

    @cached_property
    def base(self) -> dict[str, Generation]:
        """What base wrote."""
        return placed(Generation, Path(f"outputs/{self.task}/eval.base.jsonl"))

    @cached_property
    def tuned(self) -> dict[str, Generation]:
        """What tuned wrote."""
        return placed(Generation, Path(f"outputs/{self.task}/eval.tuned.jsonl"))

    def prepared(self, source: str) -> dict[str, Row]:
        """The rows of a book or file."""
        return placed(Row, Path(f"data/prepared/{self.task}/{source}.jsonl"))


@dataclass(frozen=True)
class Traced:
    """A row, told alike whatever file it stands in; what is not known of it is empty.

    `asked` is the row that a model answered, with its path:line. `texts` are the row's texts by
    what they are called, the first of them being the one that its neighbours are sought for.
    """

    what: str
    id: str
    prompt: str
    texts: dict[str, str]
    source: str = ""
    position: int | None = None
    asked: tuple[str, Row] | None = None
    notes: dict[str, str] = field(default_factory=dict)


def read_row(address: Address, files: TaskFiles) -> Traced:
    """The row of an address. Raises UserError as path:line if it is malformed or blank."""
    return _READERS[address.kind](address, files)


def placed(kind: type[Record], path: Path) -> dict[str, Record]:
    """The records of a file by their path:line; none where there is no file."""
    if not path.is_file():
        return {}
    places = [place for place, _ in read_json_lines(path)]
    return dict(zip(places, read_records(kind, path), strict=True))


def _content(address: Address) -> dict[str, Any]:
    """The object of a line that need not be a record; other lines may be malformed."""
    errors: list[UserError] = []
    found = dict(read_json_lines(address.path, errors.append))
    if str(address) in found:
        return found[str(address)]
    for error in errors:
        if str(error).startswith(f"{address}: "):
            raise error
    raise UserError(f"{address}: the line is blank")


def _record(kind: type[Record], address: Address) -> Record:
    records = placed(kind, address.path)
    if str(address) not in records:
        raise UserError(f"{address}: the line is blank")
    return records[str(address)]


def _row(address: Address, files: TaskFiles) -> Traced:
    row = _record(Row, address)
    texts = {"text": row.output} if row.output else {}
    what = _ROWS[address.kind]
    return Traced(what, row.id, row.prompt, texts, row.source, row.position)


def _rejected(address: Address, files: TaskFiles) -> Traced:
    content = _content(address)
    reason, source, text = text_fields(content, ("reason", "source", "text"), str(address))
    position = content.get("document")
    if not isinstance(position, int):
        raise UserError(f"{address}: 'document' is {position!r}; expected int")
    notes = {"left out as": reason}
    return Traced("left out by prepare", "", "", {"text": text}, source, position, None, notes)


def _generation(address: Address, files: TaskFiles) -> Traced:
    written = _record(Generation, address)
    of_row = [
        place for place, each in _answers(address.kind, files).items() if each.id == written.id
    ]
    notes = {"ended": ending(written)}
    if len(of_row) > 1:
        notes["draw"] = f"{of_row.index(str(address)) + 1} of {len(of_row)}"
    texts = {"text": written.text, "reference": written.reference}
    what = f"what {address.kind} wrote for a held-out prompt"
    return _answer(what, written.id, written.prompt, texts, files.held_out, notes)


def _submitted(address: Address, files: TaskFiles) -> Traced:
    instruction, input_, text = text_fields(_content(address), ALPACA, str(address))
    prompt = "\n".join(filter(None, (instruction, input_)))
    rows = list(files.asked.items())
    what = "submitted text of tuned"
    if address.line > len(rows) or rows[address.line - 1][1].prompt != prompt:
        return Traced(what, "", prompt, {"text": text})
    place, row = rows[address.line - 1]
    notes = {}
    # A prompt that is held out as well may have had the same answer there, with more known of it.
    for of_tuned, written in files.tuned.items():
        if (written.id, written.text) == (row.id, text):
            notes = {"ended": f"{ending(written)} (the same text is {of_tuned})"}
            break
    texts = {"text": text} | ({"reference": row.output} if row.output else {})
    return Traced(what, row.id, prompt, texts, row.source, row.position, (place, row), notes)


def _scores(address: Address, files: TaskFiles) -> Traced:
    content = _content(address)
    identity, prompt = text_fields(content, ("id", "prompt"), str(address))
    drawn = {
        model: {
            place: each for place, each in _answers(model, files).items() if each.id == identity
        }
        for model in ("tuned", "base")
    }
    notes = {}
    for model in ("base", "tuned"):
        if isinstance(scores := content.get(model), dict):
            if not all(isinstance(value, int | float) for value in scores.values()):
                raise UserError(f"{address}: the scores of {model} are not numbers alone")
            told = ", ".join(f"{name} {value:.4g}" for name, value in scores.items())
            draws = len(drawn[model])
            means = f" (means of {draws} texts)" if draws > 1 else ""
            notes[f"scores of {model}"] = f"{told}{means}"
    texts, places = _all_draws(drawn)
    what = "scores of a held-out row"
    return _answer(what, identity, prompt, texts, files.held_out, notes | places)


def _article(address: Address, files: TaskFiles) -> Traced:
    """An article's id is the start of its row's id and, as the page counts, the row's number."""
    start, _, number = address.article.rpartition("-")
    pairs = zip(files.base.items(), files.tuned.items(), strict=False)
    rows = [list(draws) for _, draws in groupby(pairs, lambda pair: pair[0][1].id)]
    if not rows:
        raise UserError(f"{address}: {_MISSING.format(task=files.task)}")
    at = int(number) - 1 if number.isdecimal() else -1
    if not 0 <= at < len(rows) or not rows[at][0][0][1].id.startswith(start or "-"):
        raise AddressError(f"{address}: no such row in outputs/{files.task}/eval.base.jsonl")
    texts, places = _all_draws(
        {"tuned": dict(each for _, each in rows[at]), "base": dict(each for each, _ in rows[at])}
    )
    _, (_, tuned) = rows[at][0]
    what = "held-out row as the page shows it"
    return _answer(what, tuned.id, tuned.prompt, texts, files.held_out, places)


def _all_draws(
    drawn: Mapping[str, Mapping[str, Generation]],
) -> tuple[dict[str, str], dict[str, str]]:
    """Every text of a row by model, the reference after them, and where and how each ended."""
    texts, places = {}, {}
    reference = {}
    for model, draws in drawn.items():
        for number, (place, written) in enumerate(draws.items(), start=1):
            label = f"{model}, {number} of {len(draws)}" if len(draws) > 1 else model
            texts[f"text of {label}"] = written.text
            places[label] = f"{place}, ended {ending(written)}"
            reference = {"reference": written.reference}
    return texts | reference, places


def ending(written: Generation) -> str:
    """How a text came to its end."""
    how = {"stop": "by itself", "length": "cut off at the longest answer"}
    told = how.get(written.finish_reason, "for another reason")
    return f"{told}, {written.tokens} tokens ({written.finish_reason})"


def _answer(
    what: str,
    identity: str,
    prompt: str,
    texts: dict[str, str],
    asked: dict[str, Row],
    notes: dict[str, str],
) -> Traced:
    """What is told of an answer, with the row that it answers where that is known."""
    for place, row in asked.items():
        if row.id == identity:
            pair = (place, row)
            return Traced(what, identity, prompt, texts, row.source, row.position, pair, notes)
    return Traced(what, identity, prompt, texts, notes=notes)


def _answers(model: str, files: TaskFiles) -> dict[str, Generation]:
    return files.base if model == "base" else files.tuned


_READERS: dict[str, Callable[[Address, TaskFiles], Traced]] = {
    "prepared": _row,
    "rejected": _rejected,
    "test": _row,
    "summarized": _row,
    "train": _row,
    "eval": _row,
    "base": _generation,
    "tuned": _generation,
    "submit": _submitted,
    "scores": _scores,
    "page": _article,
}
