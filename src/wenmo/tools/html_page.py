"""Pages that a command writes where its option --html says."""

from pathlib import Path
from typing import Any

from wenmo.core.errors import UserError
from wenmo.core.records import write_text
from wenmo.core.system_words import system_words
from wenmo.report.page import templates


def write_page(path: Path, template: Path, **values: Any) -> None:
    """Write a template with values, which are escaped. Raises UserError if that is not possible."""
    page = templates(template.parent).get_template(template.name).render(**values)
    try:
        write_text(path, page + "\n")
    except OSError as error:
        raise UserError(
            "{path}: {reason}; --html names another file", path=path, reason=system_words(error)
        ) from None
