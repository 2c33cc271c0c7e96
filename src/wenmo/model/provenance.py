"""The origin of the base model, recorded in models/base/wenmo.json.

It stands apart from what provides the model, so that a change to the downloading leaves stages that
only name the origin up to date.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from wenmo.core.errors import UserError
from wenmo.core.records import write_json

RECORD_FILE = "wenmo.json"


@dataclass(frozen=True)
class BaseRecord:
    """Source as in params.yaml, repository or folder name, commit, and sha256 of every file.

    `name` is empty for the tiny model and the folder's own name for the embedded one and a path;
    only hubs have a `revision`. `chat` is the model's contract (model/contract.py), `shapes` its
    layers and memory (model/shapes.py).
    """

    source: str
    name: str
    revision: str
    files: dict[str, str]
    chat: dict[str, Any] = field(default_factory=dict)
    shapes: dict[str, Any] = field(default_factory=dict)


def write_record(
    folder: Path,
    source: str,
    name: str = "",
    revision: str = "",
    chat: Mapping[str, Any] | None = None,
    shapes: Mapping[str, Any] | None = None,
) -> BaseRecord:
    """Describe the model in `folder` in its wenmo.json; the same model gives the same bytes."""
    record = BaseRecord(
        source, name, revision, _hashed(folder), dict(chat or {}), dict(shapes or {})
    )
    write_json(folder / RECORD_FILE, asdict(record))
    return record


def read_record(folder: Path) -> BaseRecord:
    """The record in `folder`. Raises UserError if there is none or it is not of this form."""
    path = folder / RECORD_FILE
    try:
        return BaseRecord(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise UserError(
            "{path}: no such file; run `dvc repro {stage}`", path=path, stage="base_model"
        ) from None
    except (json.JSONDecodeError, TypeError):
        raise UserError(
            "{path}: not the record of a model; run `dvc repro {stage}`",
            path=path,
            stage="base_model",
        ) from None


def sha256(path: Path) -> str:
    """Digest of a file, read piece by piece."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digests(folder: Path) -> dict[str, str]:
    """The sha256 of every file in a model's folder, from its record if it has one."""
    if (folder / RECORD_FILE).is_file():
        return read_record(folder).files
    return _hashed(folder)


def settings_digest(settings: Mapping[str, Any]) -> str:
    """sha256 of settings as JSON, whatever the order of their keys."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def _hashed(folder: Path) -> dict[str, str]:
    return {
        path.name: sha256(path)
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name != RECORD_FILE
    }
