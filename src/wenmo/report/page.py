"""reports/<task>.html: the scores and, prompt by prompt, what base and tuned wrote."""

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader

from wenmo.records import Generation, write_text
from wenmo.report.names import SCORE_NAMES, TASK_NAMES, better_direction
from wenmo.scoring.metrics import Metrics
from wenmo.scoring.scorecard import primary_score

TEMPLATE = Path(__file__).with_name("page.html.jinja")


def write_page(
    path: Path,
    task: str,
    metrics: Metrics,
    base: Sequence[Generation],
    tuned: Sequence[Generation],
) -> None:
    """A page that needs no network; every text is escaped."""
    templates = Environment(
        loader=FileSystemLoader(TEMPLATE.parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    scores = [
        {
            "name": SCORE_NAMES[key],
            "base": f"{metrics['base'][key]:.3f}",
            "tuned": f"{metrics['tuned'][key]:.3f}",
            "better": better_direction(key),
            "primary": key == primary_score(task),
        }
        for key in metrics["tuned"]
    ]
    page = templates.get_template(TEMPLATE.name).render(
        task=TASK_NAMES[task],
        scores=scores,
        delta={key: f"{value:.3f}" for key, value in metrics["delta"].items()},
        rows=len({each.id for each in base}),
        pairs=list(zip(base, tuned, strict=True)),
    )
    write_text(path, page + "\n")
