"""A task's preparation as one page without network, in which all texts are escaped."""

from pathlib import Path

from wenmo.report import charts, page
from wenmo.report.both_languages import in_both, in_both_each
from wenmo.report.names import TASK_NAMES
from wenmo.report.overview import texts_read
from wenmo.tools.html_page import write_page
from wenmo.tools.inspect.facts import Inspection
from wenmo.tools.inspect.terminal import left_out

TEMPLATE = Path(__file__).with_name("html_page.html.jinja")
STYLE = TEMPLATE.with_name("html_page.css")


def write_inspection(path: Path, found: Inspection) -> None:
    """Write the page in the style of a task's report. Raises UserError if it cannot be written."""
    write_page(
        path,
        TEMPLATE,
        [page.FOLDER / "page.css", STYLE],
        found=found,
        task=TASK_NAMES[found.task],
        read=in_both_each(texts_read, found.task),
        histogram=in_both(charts.lengths, {"rows": found.row_lengths()}),
        is_of_books=any(source.wrapping() or source.headings for source in found.sources),
        left_out=left_out,
    )
