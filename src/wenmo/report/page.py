"""reports/<task>.html: whether tuned writes better, in pictures, and every text to read oneself.

One file without a network: by its policy a browser runs its own style and script, which are told
by their hashes, and asks nobody for anything.
"""

import base64
import csv
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from wenmo.core.errors import UserError
from wenmo.core.records import Generation, write_text
from wenmo.report import charts, wording
from wenmo.report.names import SCORE_MEANINGS, SCORE_NAMES, TASK_NAMES, better_direction
from wenmo.report.side_by_side import rows_of_texts
from wenmo.scoring.catalogue import primary_score
from wenmo.text.characters import without_space

FOLDER = Path(__file__).parent

_OUTCOMES = ("form", "rhyme", "tones")


@dataclass(frozen=True)
class Report:
    """What a page tells.

    `scores` are what metrics/evaluate/<task>.json holds: `base`, `tuned` and `delta`, and what is
    optional besides. `base` and `tuned` are in the same order of rows, and several generations of a
    row stand together. `by_row` are the lines of reports/<task>.jsonl, without
    which no row is said to be won or lost. The losses are points (step, loss); `signatures` say
    what BLEU and chrF were measured with.
    """

    task: str
    scores: Mapping[str, Any]
    base: Sequence[Generation]
    tuned: Sequence[Generation]
    by_row: Sequence[Mapping[str, Any]] = ()
    training_loss: charts.Points = ()
    held_out_loss: charts.Points = ()
    signatures: Mapping[str, str] = field(default_factory=dict)


def write_page(path: Path, report: Report) -> None:
    """Write the page; every text is escaped, and the same report gives the same bytes.

    Raises ValueError where base and tuned are not of the same rows.
    """
    templates = Environment(
        loader=FileSystemLoader(FOLDER), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    templates.filters |= {
        "number": wording.number,
        "signed": wording.signed,
        "p": wording.p_value,
        "percent": wording.percent,
    }
    style, script = (
        (FOLDER / name).read_text(encoding="utf-8") for name in ("page.css", "page.js")
    )
    scores, delta = report.scores, report.scores["delta"]
    page = templates.get_template("page.html.jinja").render(
        report=report,
        task=TASK_NAMES[report.task],
        policy=_policy(style, script),
        style=style,
        script=script,
        verdict=wording.verdict(delta, primary_score(report.task)),
        interval=charts.interval(delta["primary"], delta["ci_low"], delta["ci_high"]),
        primary=primary_score(report.task),
        scores=[key for key in SCORE_NAMES if key in scores["base"] or key in scores["tuned"]],
        names=SCORE_NAMES,
        meanings=SCORE_MEANINGS,
        better=better_direction,
        sure=wording.SURE,
        pictures=list(_pictures(report)),
        rows_of_texts=list(rows_of_texts(report.task, report.base, report.tuned, report.by_row)),
    )
    write_text(path, page + "\n")


def read_curve(path: Path) -> list[tuple[float, float]]:
    """The points (step, loss) of plots/train/<task>/loss.tsv or eval/loss.tsv.

    Raises UserError if there is no such file or it is none of points.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = csv.DictReader(file, delimiter="\t")
            return [(float(line["step"]), float(line["loss"])) for line in lines]
    except FileNotFoundError:
        fault = "no such file"
    except (KeyError, TypeError, ValueError):
        fault = "no table of step and loss"
    raise UserError(f"{path}: {fault}; `dvc repro` makes it, `dvc checkout` brings it back")


def _pictures(report: Report) -> Iterator[tuple[str, str, Markup]]:
    """Title, explanation and picture, of what there is to be seen."""
    if curves := charts.loss_curve(report.training_loss, report.held_out_loss):
        yield (
            "Loss",
            "Where the held-out loss rises while the training loss falls, the model learns its"
            " rows by heart.",
            curves,
        )
    yield (
        "Length",
        "How long the texts are, white space left out. The references are as long as was asked"
        " for.",
        charts.lengths(
            {
                "references": [
                    len(without_space(reference))
                    for reference in {each.id: each.reference for each in report.base}.values()
                ],
                "base": [len(without_space(each.text)) for each in report.base],
                "tuned": [len(without_space(each.text)) for each in report.tuned],
            }
        ),
    )
    writers = {
        "references": report.scores.get("references", {}),
        "base": report.scores["base"],
        "tuned": report.scores["tuned"],
    }
    outcomes = {
        SCORE_NAMES[outcome]: {
            writer: scores[outcome] for writer, scores in writers.items() if outcome in scores
        }
        for outcome in _OUTCOMES
        if outcome in report.scores["tuned"]
    }
    if outcomes:
        yield (
            "Form, rhyme and tones",
            "The share of poems that have the form asked for, that rhyme, and, of forms that have"
            " tone rules, that keep all of them.",
            charts.shares(outcomes),
        )


def _policy(style: str, script: str) -> str:
    """A content security policy that allows this style and script, and nothing else."""
    hashes = (
        base64.b64encode(hashlib.sha256(each.encode()).digest()).decode()
        for each in (style, script)
    )
    allowed = "; style-src 'sha256-{}'; script-src 'sha256-{}'".format(*hashes)
    return f"default-src 'none'{allowed}; img-src data:; base-uri 'none'; form-action 'none'"
