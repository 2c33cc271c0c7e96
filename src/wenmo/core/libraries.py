"""The libraries that pyproject.toml pins, for all stages that depend on them."""

import tomllib
from pathlib import Path

from wenmo.core.errors import UserError


def pinned_libraries(path: Path) -> str:
    """The entries of project.dependencies, a line each, without comments.

    Raises UserError if there is no such file or no such list in it.
    """
    try:
        dependencies = tomllib.loads(path.read_text(encoding="utf-8"))["project"]["dependencies"]
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, KeyError) as error:
        raise UserError(f"{path}: no list project.dependencies in it: {error}") from None
    return "".join(f"{each}\n" for each in dependencies)
