"""A clone has the same bytes whatever git is told about line ends."""

from pathlib import Path

import pytest

from tests.conftest import digests, git


@pytest.mark.parametrize("setting", ["core.autocrlf=true", "core.autocrlf=input", "core.eol=crlf"])
def test_a_clone_has_the_bytes_that_dvc_lock_was_made_of(
    clone: Path, tmp_path: Path, setting: str
) -> None:
    """`core.autocrlf=true` is the default of Git for Windows."""
    git(tmp_path, "clone", "--quiet", "--config", setting, str(clone), "theirs")
    theirs = tmp_path / "theirs"
    assert git(theirs, "status", "--porcelain") == ""
    found, expected = (digests(folder) for folder in (theirs, clone))
    tracked = git(clone, "ls-files", "-z").split("\0")
    assert {name: found.get(name) for name in tracked} == {
        name: expected.get(name) for name in tracked
    }
