"""Rows that other tools train on: Alpaca, ShareGPT and messages, in the files of `read_table`.

Alpaca rows have `instruction` and `output`, and may have `input`, `history` and `system`. ShareGPT
rows have `conversations`, those of OpenAI's API `messages`. A cell of CSV holds a list as JSON.
https://github.com/hiyouga/LlamaFactory/blob/main/data/README.md
https://huggingface.co/docs/trl/dataset_formats
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from wenmo.config.prepare import SharedPrepareParams
from wenmo.core.errors import UserError
from wenmo.core.language import gettext
from wenmo.core.records import Row, Turn, row_id, turns
from wenmo.tasks.raw import Located, MalformedRows, check_writable, text_fields
from wenmo.tasks.task import Document, Prepared
from wenmo.text.characters import without_space
from wenmo.text.cleaning import Rejected, clean, normal_form
from wenmo.text.quality import fault
from wenmo.text.thinking import without_thinking

CONVERSATIONS = ("messages", "conversations")
COLUMNS = ("instruction", "output", "input", "history", "system", *CONVERSATIONS)

ROLES = {
    "system": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "model": "assistant",
}
"""What the formats call who speaks."""


def documents(
    source: str, rows: Located, malformed: MalformedRows, first: int = 0
) -> Iterator[Document]:
    """The rows of one source in their order, the first one at position `first`.

    Raises UserError naming the place of a malformed one.
    """
    for position, (place, content) in enumerate(rows, start=first):
        try:
            yield as_document(content, source, position, place)
        except UserError as error:
            malformed.refuse(error)


def as_document(content: Mapping[str, Any], source: str, position: int, place: str) -> Document:
    """A row of any of the formats. Raises UserError saying what is wrong with it."""
    content = {key: value for key, value in content.items() if value is not None}
    conversation = next((key for key in CONVERSATIONS if content.get(key)), None)
    system = _optional(content, "system", place)
    if conversation:
        said, told = _messages(
            _list(content, conversation, place),
            gettext("{place}: {key!r}", place=place, key=conversation),
        )
        system = said or system
        *history, (instruction, output) = told
        input_ = ""
    else:
        instruction, output = _alpaca(content, place)
        input_ = _optional(content, "input", place)
        history = list(turns(_list(content, "history", place), place))
        check_writable(
            "".join(map("".join, history)),
            gettext("{place}: {key!r}", place=place, key="history"),
        )
    for answer in (output, *(answer for _, answer in history)):
        if not answer.strip():
            raise UserError("{place}: the output is empty", place=place)
        if not without_thinking(answer):
            raise UserError("{place}: an output ends while its model still thinks", place=place)
    return Document(
        source,
        position,
        output,
        instruction=instruction,
        input=input_,
        place=place,
        is_row=True,
        system=system,
        history=tuple(history),
    )


def prepare_row(
    document: Document, params: SharedPrepareParams, minimum: int = 0, maximum: int | None = None
) -> Prepared:
    """A row as it is learnt, unless its output is faulty or its length in characters out of bounds.

    What a model thought before an answer is left out, and so is a system message of the row's own,
    in whose place stands chat.system_prompt.
    """

    def text(raw: str) -> str:
        return clean(raw, params.to_simplified).text

    answer, thought = _parted(document.text)
    cleaned = clean(answer, params.to_simplified)
    output = cleaned.text
    left_out = [("thinking", thought), ("system message", document.system)]
    pieces = [Rejected(reason, normal_form(piece)) for reason, piece in left_out if piece]
    read = cleaned.characters_read + sum(len(without_space(piece.text)) for piece in pieces)
    prepared = Prepared(read, rejected_pieces=pieces + cleaned.rejected)
    reason: str | None = "short" if len(output) < minimum else None
    if maximum is not None and len(output) > maximum:
        reason = "long"
    reason = reason or fault(output, params.quality)
    if reason:
        prepared.rejected_rows.append(Rejected(reason, output))
        return prepared
    instruction, input_ = text(document.instruction), text(document.input)
    history = tuple((text(asked), text(_parted(told)[0])) for asked, told in document.history)
    content = f"{instruction}\n{input_}\n{output}"
    if history:
        content = json.dumps(history, ensure_ascii=False) + content
    row = Row(
        row_id(document.source, content),
        document.source,
        document.position,
        instruction,
        input_,
        output,
        history,
    )
    prepared.rows.append(row)
    return prepared


def _parted(answer: str) -> tuple[str, str]:
    """What an answer says, and what its model thought before."""
    said = without_thinking(answer) or ""
    return (said, "") if said == answer else (said, answer.removesuffix(said).rstrip())


def _alpaca(content: Mapping[str, Any], place: str) -> tuple[str, str]:
    if "output" not in content:
        raise UserError(
            "{place}: keys are {keys}; expected instruction and output (Alpaca), conversations"
            " (ShareGPT) or messages",
            place=place,
            keys=list(content),
        )
    return _optional(content, "instruction", place), _optional(content, "output", place)


def _optional(content: Mapping[str, Any], key: str, place: str) -> str:
    (text,) = text_fields({key: ""} | dict(content), (key,), place)
    return text


def _list(content: Mapping[str, Any], key: str, place: str) -> list[Any]:
    """The list at a key, empty if there is none; a table may hold it as JSON or as columns."""
    found = content.get(key) or []
    if isinstance(found, str):
        try:
            found = json.loads(found)
        except json.JSONDecodeError as error:
            raise UserError(
                "{place}: {key!r} is not JSON: {reason}",
                place=place,
                key=key,
                reason=gettext(error.msg),
            ) from None
    if isinstance(found, dict) and all(isinstance(each, list) for each in found.values()):
        found = [
            dict(zip(found, values, strict=False)) for values in zip(*found.values(), strict=False)
        ]
    if not isinstance(found, list):
        raise UserError(
            "{place}: {key!r} is {found!r}; expected a list", place=place, key=key, found=found
        )
    return found


def _messages(messages: list[Any], place: str) -> tuple[str, list[Turn]]:
    """The system message, empty if there is none, and the turns."""
    system, told, asked = "", list[Turn](), None
    for number, message in enumerate(messages, start=1):
        role, text = _message(
            message, gettext("{place}: message {number}", place=place, number=number)
        )
        match role:
            case "system" if number == 1:
                system = text
            case "user" if asked is None:
                asked = text
            case "assistant" if asked is not None:
                told.append((asked, text))
                asked = None
            case _:
                raise UserError(
                    "{place}: message {number} is one of {role}; expected a user's and an"
                    " assistant's in turn, after a system message if there is one",
                    place=place,
                    number=number,
                    role=role,
                )
    if asked is not None or not told:
        raise UserError("{place}: the last message is no answer", place=place)
    return system, told


def _message(message: Any, place: str) -> tuple[str, str]:
    if not isinstance(message, dict):
        raise UserError("{place} is {message!r}; expected an object", place=place, message=message)
    said = {key: value for key, value in message.items() if value is not None}
    role = said.get("role", said.get("from"))
    if role not in ROLES or said.get("tool_calls") or said.get("function_call"):
        raise UserError(
            "{place} has the role {role!r} or calls a tool; expected one of {roles}",
            place=place,
            role=role,
            roles=", ".join(ROLES),
        )
    text = said.get("content", said.get("value"))
    if isinstance(text, list) and all(isinstance(part, dict) for part in text):
        parts = [part.get("text") for part in text]
        text = "".join(parts) if all(isinstance(part, str) for part in parts) else text
    if not isinstance(text, str):
        raise UserError("{place} says {text!r}; expected a text", place=place, text=text)
    check_writable(text, place)
    return ROLES[role], text
