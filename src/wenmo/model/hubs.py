"""Models from Hugging Face and ModelScope, at one commit, through the hubs' own clients.

Each client keeps what it fetched in its own cache, shared with its other users, so nothing is
fetched twice. Keys come from the environment or .env alone: HF_TOKEN, MODELSCOPE_API_TOKEN.
Mirrors are named by HF_ENDPOINT and MODELSCOPE_ENDPOINT.
"""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wenmo.core.errors import ParamsError, UserError
from wenmo.core.keys import secret
from wenmo.core.language import N_, gettext
from wenmo.model.folder import disk_errors_in_one_line, select
from wenmo.model.provenance import sha256

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile, RepoSibling
    from modelscope_hub import HubApi, HubConfig

COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Snapshot:
    """A model in a hub client's cache: its folder there and which of the files belong to it."""

    folder: Path
    names: list[str]


def latest_commit(source: str, name: str, revision: str = "") -> str:
    """The commit at which a branch or tag of repository `name` stands, by default its main branch.

    Raises UserError if the hub `source` does not tell it.
    """
    commit = {"huggingface": _hugging_face_commit, "modelscope": _model_scope_commit}[source]
    if found := commit(name, revision):
        return found
    raise UserError(
        "the hub names no commit of {name}; enter one as base_model.revision", name=name
    )


def dataset_commit(name: str, revision: str = "") -> str:
    """The commit at which a branch or tag of a dataset stands, by default its main branch.

    Raises UserError if Hugging Face's hub does not tell it.
    """
    revision = revision or "main"
    with hugging_face_errors(f"datasets/{name}", revision):
        found = _hugging_face().dataset_info(name, revision=revision, timeout=30).sha
    if not found:
        raise UserError("the hub names no commit of {name}; enter one as its revision", name=name)
    return found


def from_hugging_face(name: str, revision: str) -> Snapshot:
    """Fetch repository `name` at commit `revision`, going on where a broken download stopped.

    Works without a network once everything is cached. Raises ParamsError for a revision that is
    no full commit, with the commit if the hub names it, and UserError if the hub does not give the
    files. https://huggingface.co/docs/huggingface_hub/guides/download
    """
    from huggingface_hub import constants, snapshot_download

    if not is_commit(revision):
        raise moving_revision(revision, latest_commit("huggingface", name, revision))
    api = _hugging_face()
    cache = Path(constants.HF_HUB_CACHE)
    origin = of_hub(name, revision)
    with hugging_face_errors(name, revision), disk_errors_in_one_line(cache):
        files = {file.rfilename: file for file in _listing(api, name, revision)}
        names = select(files, origin)
        for each in names:
            _fetch_weights(api, name, revision, files[each], cache)
        folder = snapshot_download(name, revision=revision, allow_patterns=names, token=api.token)
    return Snapshot(Path(folder), names)


def from_model_scope(name: str, revision: str) -> Snapshot:
    """Fetch repository `name` at commit `revision`, going on where a broken download stopped.

    ModelScope's API takes a commit wherever it takes a branch, and its client checks every file
    against the sha256 that is listed for that commit. Raises as `from_hugging_face` does.
    https://modelscope.cn/docs/models/download
    """
    if not is_commit(revision):
        raise moving_revision(revision, latest_commit("modelscope", name, revision))
    api, config = _model_scope()
    hub = str(config.endpoint)
    with disk_errors_in_one_line(config.cache_dir), model_scope_errors(name, revision, hub):
        files = api.list_repo_files(name, "model", revision=revision)
        names = select((file.path for file in files), of_hub(name, revision))
        folder = api.download_repo(name, "model", revision=revision, allow_patterns=names)
    return Snapshot(folder, names)


def is_commit(revision: str) -> bool:
    """Whether a revision is a whole commit, which never moves."""
    return bool(COMMIT.fullmatch(revision))


def moving_revision(revision: str, commit: str) -> ParamsError:
    """The complaint about no revision, a branch, a tag or a shortened commit."""
    return ParamsError(
        "params.yaml: base_model.revision: {revision!r}: expected a commit of 40 hexadecimal"
        " digits, since a branch or tag can move; `wenmo preset --pin` enters today's, {commit}",
        revision=revision,
        commit=commit,
    )


@contextmanager
def hugging_face_errors(name: str, revision: str = "main") -> Iterator[None]:
    """Turn the client's exceptions about repository `name` into one line, without the token."""
    import httpx2
    from huggingface_hub import constants, errors

    hub = constants.ENDPOINT
    try:
        yield
    except errors.HFValidationError:
        raise UserError(
            "{name!r} is no repository on {hub}; expected owner/name", name=name, hub=hub
        ) from None
    except (
        errors.HfHubHTTPError,
        errors.LocalEntryNotFoundError,
        errors.OfflineModeIsEnabled,
        httpx2.HTTPError,
    ) as error:
        # The client wraps the cause in an error that says "not found in the cache either".
        cause = error.__cause__ if isinstance(error, errors.LocalEntryNotFoundError) else error
        match cause:
            case errors.GatedRepoError():
                complaint = N_(
                    "{name} is gated: accept its licence at {hub}/{name} and set HF_TOKEN in the"
                    " environment or .env"
                )
            case errors.RepositoryNotFoundError():
                complaint = N_(
                    "no repository {name} on {hub}, or it is private; HF_TOKEN in the environment"
                    " or .env opens yours"
                )
            case errors.RevisionNotFoundError():
                complaint = N_("{name} has no revision {revision}; see {hub}/{name}/commits/main")
            case errors.HfHubHTTPError():
                raise _status_error(cause.response.status_code, hub) from None
            case _:
                raise _unreached(hub, cause) from None
        raise UserError(complaint, name=name, revision=revision, hub=hub) from None
    except OSError as error:
        if error.errno is not None:
            raise
        # A file has another length than was listed. The client's advice below that is wrong.
        raise UserError(
            "{hub}: {reason}; run again", hub=hub, reason=str(error).splitlines()[0]
        ) from None


@contextmanager
def model_scope_errors(name: str, revision: str, hub: str) -> Iterator[None]:
    """Turn the exceptions of ModelScope's client about repository `name` into one line."""
    from modelscope_hub import errors

    try:
        yield
    except errors.HubError as error:
        cause: BaseException = error
        if isinstance(error, errors.FileDownloadError) and error.failed_files:
            cause = next(iter(error.failed_files.values()))
        match cause:
            case errors.PermissionDeniedError() | errors.AuthenticationError():
                complaint = N_(
                    "{name} is gated or private: accept its terms at {hub}/models/{name} and set"
                    " MODELSCOPE_API_TOKEN in the environment or .env"
                )
            case errors.NotExistError():
                complaint = N_(
                    "no repository {name} with a revision {revision} on {hub}, or it is private;"
                    " MODELSCOPE_API_TOKEN in the environment or .env opens yours"
                )
            case errors.NetworkError():
                raise _unreached(hub, cause) from None
            case errors.APIError() if cause.status_code:
                raise _status_error(cause.status_code, hub) from None
            case errors.HubError():
                raise UserError("{place}: {error}", place=hub, error=cause.message) from None
            case _:
                raise cause from None
        raise UserError(complaint, name=name, revision=revision, hub=hub) from None


def of_hub(name: str, revision: str) -> str:
    """How an error names a repository at a commit."""
    return gettext("{name} at {revision}", name=name, revision=revision)


def _unreached(hub: str, cause: BaseException | None) -> UserError:
    kind = type(cause).__name__
    return UserError("{hub} cannot be reached ({kind}); run again later", hub=hub, kind=kind)


def _status_error(status: int, hub: str) -> UserError:
    if status == 401:
        return UserError("{hub} does not know the token that is set", hub=hub)
    if status == 403:
        return UserError(
            "{hub} refuses this with the token that is set; it lacks the permission", hub=hub
        )
    if status in (408, 429) or status >= 500:
        return UserError("{hub} answered {status}; run again later", hub=hub, status=status)
    return UserError("{hub} answered {status}", hub=hub, status=status)


def _listing(api: "HfApi", name: str, revision: str) -> "Sequence[RepoFile | RepoSibling]":
    """The repository's files, without a request if the client listed this commit before."""
    from huggingface_hub import get_cached_repo_tree
    from huggingface_hub.errors import CachedRepoTreeNotFoundError

    try:
        return get_cached_repo_tree(name, revision=revision)
    except CachedRepoTreeNotFoundError:
        found = api.model_info(name, revision=revision, files_metadata=True, timeout=30)
        return found.siblings or []


def _fetch_weights(
    api: "HfApi", name: str, revision: str, file: "RepoFile | RepoSibling", cache: Path
) -> None:
    """Put a large file where the client's cache wants it: blobs/<sha256>.

    The client drops what it has of a file when it is stopped, which for a file of gigabytes is
    hours; this keeps it, goes on there the next time and compares the sha256.
    https://huggingface.co/docs/huggingface_hub/guides/manage-cache
    """
    from huggingface_hub import constants, hf_hub_url
    from huggingface_hub.file_download import http_get, repo_folder_name
    from huggingface_hub.utils import (  # type: ignore[attr-defined]
        WeakFileLock,
        build_hf_headers,
    )

    # The client downloads files that are too large for plain HTTP by its Xet transfer.
    if file.lfs is None or file.lfs.size > constants.MAX_HTTP_DOWNLOAD_SIZE:
        return
    folder = cache / repo_folder_name(repo_id=name, repo_type="model") / "blobs"
    folder.mkdir(parents=True, exist_ok=True)
    blob, part = folder / file.lfs.sha256, folder / f"{file.lfs.sha256}.part"
    with WeakFileLock(folder / f"{file.lfs.sha256}.lock"):
        if blob.exists():
            return
        with part.open("ab") as stream:
            http_get(
                hf_hub_url(name, file.rfilename, revision=revision),
                stream,
                resume_size=stream.tell(),
                headers=build_hf_headers(token=api.token),
                expected_size=file.lfs.size,
                displayed_filename=file.rfilename,
            )
        if sha256(part) != file.lfs.sha256:
            part.unlink()
            raise UserError(
                "{file} of {name} was damaged on its way; run again", file=file.rfilename, name=name
            )
        part.replace(blob)


def _hugging_face() -> "HfApi":
    from huggingface_hub import HfApi

    return HfApi(token=secret("HF_TOKEN") or False)


def _hugging_face_commit(name: str, revision: str) -> str | None:
    revision = revision or "main"
    with hugging_face_errors(name, revision):
        return _hugging_face().model_info(name, revision=revision, timeout=30).sha


def _model_scope() -> "tuple[HubApi, HubConfig]":
    # The client logs each failure as well, in a format of its own.
    os.environ.setdefault("MODELSCOPE_LOG_LEVEL", "CRITICAL")
    try:
        from modelscope_hub import HubApi, HubConfig
    except ImportError:
        raise UserError(
            "base_model.source: modelscope needs its client; pip install -e '.[hub]'"
        ) from None

    # Without a token, even an empty one, the client unpickles a saved login.
    config = HubConfig(token=secret("MODELSCOPE_API_TOKEN"))
    return HubApi(config), config


def _model_scope_commit(name: str, revision: str) -> str | None:
    """The commit that a branch or tag of ModelScope stands at: that of its newest file."""
    api, config = _model_scope()
    revision = revision or "master"
    with model_scope_errors(name, revision, str(config.endpoint)):
        files = api.legacy.list_repo_files(name, "model", revision=revision)
    newest = max(files, key=lambda file: file.get("CommittedDate") or 0, default=None)
    return newest.get("Revision") if newest else None
