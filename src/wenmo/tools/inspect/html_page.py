"""A task's preparation as one page without network or script, in which all texts are escaped."""

from pathlib import Path

from wenmo.core.language import in_language
from wenmo.report import charts, page
from wenmo.report.names import TASK_NAMES
from wenmo.tools.html_page import write_page
from wenmo.tools.inspect.facts import Inspection
from wenmo.tools.inspect.terminal import left_out

TEMPLATE = Path(__file__).with_name("html_page.html.jinja")
STYLE = TEMPLATE.with_name("html_page.css")


@in_language("en")  # its template has no Chinese
def write_inspection(path: Path, found: Inspection) -> None:
    """Write the page in the style of a task's report. Raises UserError if it cannot be written."""
    styles = (page.FOLDER / "page.css", STYLE)
    write_page(
        path,
        TEMPLATE,
        found=found,
        task=TASK_NAMES[found.task],
        histogram=charts.lengths({"rows": found.row_lengths()}),
        is_of_books=any(source.wrapping or source.headings for source in found.sources),
        left_out=left_out,
        style="".join(each.read_text(encoding="utf-8") for each in styles),
    )
