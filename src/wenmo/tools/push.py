"""`wenmo push`: upload a trained model with its card and scores to Hugging Face."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wenmo.core.errors import UserError
from wenmo.core.keys import secret
from wenmo.model.card import CARD, add_scores, as_adapter_card, hub_base_model
from wenmo.model.folder import belongs, broken_file
from wenmo.model.hubs import hugging_face_errors

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    Operation = CommitOperationAdd | CommitOperationDelete

ADAPTER_CONFIG = "adapter_config.json"
MERGED_WEIGHTS = ("model.safetensors", "model-*-of-*.safetensors", "model.safetensors.index.json")


def push(task: str, repository: str, *, adapter: bool = False, private: bool = False) -> str:
    """Upload models/merged/<task>, or its adapter, to `repository` (owner/name) in one commit.

    The card is the merged folder's README.md with the scores of metrics/<task>.json; the files on
    the disk stay as they are. Returns the repository's address. Raises UserError if a file or the
    token (HF_TOKEN in the environment or .env) is missing or the hub refuses; no message has the
    token.
    https://huggingface.co/docs/huggingface_hub/guides/upload
    """
    from huggingface_hub import HfApi

    if repository.count("/") != 1:
        raise UserError("{name!r} is no repository; expected owner/name", name=repository)
    token = secret("HF_TOKEN")
    if not token:
        raise UserError(
            "HF_TOKEN is not set; put a token with write access into the environment or .env"
            " (https://huggingface.co/settings/tokens)"
        )
    files = published_files(task, adapter)
    api = HfApi(token=token)
    with hugging_face_errors(repository):
        address = api.create_repo(repository, private=private or None, exist_ok=True)
        operations = _additions(files) + _deletions(api, repository, files)
        with upload_errors(repository, token):
            api.create_commit(repository, operations, commit_message=f"Upload {task} of wenmo")
    return str(address)


@contextmanager
def upload_errors(repository: str, token: str) -> Iterator[None]:
    """Make a UserError of what fails during an upload; the hub's own answers pass through."""
    import httpx2

    try:
        yield
    except httpx2.HTTPError:
        raise
    except (RuntimeError, ValueError, OSError) as error:
        # huggingface_hub raises RuntimeError from the hub's answer about a file, ValueError for a
        # refused card, and other types from the Xet transfer.
        if isinstance(error, RuntimeError) and isinstance(error.__cause__, httpx2.HTTPError):
            raise error.__cause__ from None
        reason = " ".join(str(error).split()).replace(token, "***")
        raise UserError(
            "{repository} was not uploaded: {reason}", repository=repository, reason=reason
        ) from None


def published_files(task: str, adapter: bool) -> dict[str, Path | bytes]:
    """The files to upload by name: a path, or bytes that replace the file on the disk.

    Raises UserError naming the stage to run if a file is missing.
    """
    merged, own = Path(f"models/merged/{task}"), Path(f"models/adapters/{task}")
    card = add_scores(
        _read(merged / CARD, f"merge_weights@{task}"),
        task,
        _read_json(Path(f"metrics/{task}.json"), ("base", "tuned", "delta"), f"evaluate@{task}"),
    )
    folder = own if adapter else merged
    stage, weights = ("train", "adapter_model") if adapter else ("merge_weights", "model")
    names = [path.name for path in folder.glob("*") if path.is_file() and belongs(path.name)]
    if not any(fnmatch(name, f"{weights}*.safetensors") for name in names):
        raise UserError(
            "{path}: no weights; run `dvc repro {stage}`", path=folder, stage=f"{stage}@{task}"
        )
    if fault := broken_file(folder):
        raise UserError(
            "{place}: {error}; run `dvc repro {stage}`",
            place=folder,
            error=fault,
            stage=f"{stage}@{task}",
        )
    files: dict[str, Path | bytes] = {name: folder / name for name in sorted(names)}
    if adapter:
        card = as_adapter_card(card)
        files[ADAPTER_CONFIG] = _adapter_config(folder / ADAPTER_CONFIG, hub_base_model(card), task)
    return files | {CARD: card.encode()}


def _adapter_config(path: Path, base_model: str | None, task: str) -> bytes:
    """PEFT's configuration with the base model's name on the hub in place of models/base."""
    config: dict[str, Any] = json.loads(_read(path, f"train@{task}"))
    if base_model:
        config["base_model_name_or_path"] = base_model
    return (json.dumps(config, indent=2, ensure_ascii=False) + "\n").encode()


def _additions(files: dict[str, Path | bytes]) -> "list[Operation]":
    from huggingface_hub import CommitOperationAdd

    return [
        CommitOperationAdd(name, str(content) if isinstance(content, Path) else content)
        for name, content in files.items()
    ]


def _deletions(api: "HfApi", repository: str, files: dict[str, Path | bytes]) -> "list[Operation]":
    """Delete shards of an earlier upload, which a reader would load if they stayed."""
    from huggingface_hub import CommitOperationDelete

    if ADAPTER_CONFIG in files:
        return []
    return [
        CommitOperationDelete(name)
        for name in api.list_repo_files(repository)
        if name not in files and any(fnmatch(name, pattern) for pattern in MERGED_WEIGHTS)
    ]


def _read_json(path: Path, keys: tuple[str, ...], stage: str) -> dict[str, Any]:
    try:
        content = json.loads(_read(path, stage))
    except ValueError:
        content = None
    if not isinstance(content, dict) or not all(key in content for key in keys):
        raise UserError(
            "{path}: expected the keys {keys}; run `dvc repro {stage}`",
            path=path,
            keys=", ".join(keys),
            stage=stage,
        )
    return content


def _read(path: Path, stage: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(
            "{path}: no such file; run `dvc repro {stage}`", path=path, stage=stage
        ) from None
