"""Where the base model came from: models/base/wenmo.json.

It stands apart from what provides the model, so that a stage which only tells the origin does not
wait for changes to the downloading.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from wenmo.core.errors import UserError
from wenmo.core.records import write_json

RECORD_FILE = "wenmo.json"


@dataclass(frozen=True)
class BaseRecord:
    """Source as in params.yaml, repository or folder name, commit, and sha256 of every file.

    `name` is empty for the tiny model and the folder's own name for a path; only hubs have a
    `revision`.
    """

    source: str
    name: str
    revision: str
    files: dict[str, str]


def write_record(folder: Path, source: str, name: str = "", revision: str = "") -> BaseRecord:
    """Describe the model in `folder` in its wenmo.json; the same model gives the same bytes."""
    files = {
        path.name: sha256(path)
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name != RECORD_FILE
    }
    record = BaseRecord(source, name, revision, files)
    write_json(folder / RECORD_FILE, asdict(record))
    return record


def read_record(folder: Path) -> BaseRecord:
    """The record in `folder`. Raises UserError if there is none or it is not of this form."""
    path = folder / RECORD_FILE
    try:
        return BaseRecord(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run `dvc repro base_model`") from None
    except (json.JSONDecodeError, TypeError):
        raise UserError(f"{path}: not the record of a model; run `dvc repro base_model`") from None


def sha256(path: Path) -> str:
    """Digest of a file, read piece by piece."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(settings: Mapping[str, Any], files: Iterable[Path]) -> str:
    """sha256 of settings and files (by name and content): of all that a result depends on."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for path in files:
        digest.update(f"{path.name}\0{sha256(path)}\n".encode())
    return digest.hexdigest()
