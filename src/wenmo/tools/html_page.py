"""Pages that a command writes where its option --html says, in English and Chinese."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wenmo.core.errors import UserError
from wenmo.core.records import write_text
from wenmo.core.system_words import system_words
from wenmo.report.both_languages import SCRIPT
from wenmo.report.page import own_files, templates


def write_page(path: Path, template: Path, styles: Sequence[Path], **values: Any) -> None:
    """Write a template with values, which are escaped. Raises UserError if that is not possible."""
    files = own_files(styles, [SCRIPT])
    page = templates(template.parent).get_template(template.name).render(**files, **values)
    try:
        write_text(path, page + "\n")
    except OSError as error:
        raise UserError(
            "{path}: {reason}; --html names another file", path=path, reason=system_words(error)
        ) from None
