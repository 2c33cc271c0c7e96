"""Clones that share their files through the S3 server of the tests, and who may write there."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import dvc, git
from tests.s3_server import BUCKET, SECRET, WRITER


@contextmanager
def no_credentials_of_this_machine(folder: Path) -> Iterator[None]:
    """Within, S3's clients find no credentials but those of DVC's configuration."""
    empty = folder / "empty"
    empty.touch()
    with pytest.MonkeyPatch.context() as environment:
        for name in filter(re.compile("AWS_").match, dict(os.environ)):
            environment.delenv(name)
        for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
            environment.setenv(name, str(empty))
        environment.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield


def succeed(folder: Path, *arguments: str) -> str:
    """What DVC said where it did what it was told."""
    run = dvc(folder, *arguments)
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    return run.stdout + run.stderr


def add_remote(folder: Path, name: str, path: str, url: str) -> None:
    """What everybody may know, committed: where the storage is, and that all may read it."""
    succeed(folder, "remote", "add", name, f"s3://{BUCKET}/{path}")
    succeed(folder, "remote", "modify", name, "endpointurl", url)
    succeed(folder, "remote", "modify", name, "allow_anonymous_login", "true")
    git(folder, "commit", "--quiet", "--message", f"Name the storage {name}", ".dvc/config")


def become_writer(folder: Path, secret: str = SECRET) -> None:
    succeed(folder, "remote", "modify", "--local", "storage", "allow_anonymous_login", "false")
    succeed(folder, "remote", "modify", "--local", "storage", "access_key_id", WRITER)
    succeed(folder, "remote", "modify", "--local", "storage", "secret_access_key", secret)


def clone_of(repository: Path, folder: Path) -> Path:
    git(repository.parent, "clone", "--quiet", str(repository), str(folder))
    return folder
