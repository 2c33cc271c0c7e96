"""The page reports/<task>.html: tuned compared with base, in figures, pictures and texts.

The page is one file and needs no network. Its content security policy allows its own style and
script, by their hashes, and no request.
"""

import base64
import csv
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

from wenmo.core.errors import UserError
from wenmo.core.language import N_
from wenmo.core.records import Generation, write_text
from wenmo.report import charts, wording
from wenmo.report.both_languages import SCRIPT, Both, attribute, both, in_both, in_both_each
from wenmo.report.names import SCORE_MEANINGS, SCORE_NAMES, TASK_NAMES, better_direction
from wenmo.report.side_by_side import rows_of_texts
from wenmo.scoring.catalogue import primary_score
from wenmo.text.characters import without_space

FOLDER = Path(__file__).parent

_OUTCOMES = ("form", "rhyme", "tones")


@dataclass(frozen=True)
class Report:
    """The content of a page.

    `scores` is the content of metrics/evaluate/<task>.json; all its keys but `base`, `tuned` and
    `delta` may be missing. `base` and `tuned` are in the order of the rows, and several generations
    of a row stand together. `by_row` has the lines of reports/<task>.jsonl; without them no row is
    shown as won or lost. The losses are points (step, nats per token). `signatures` are
    sacrebleu's, for BLEU and chrF.
    """

    task: str
    scores: Mapping[str, Any]
    base: Sequence[Generation]
    tuned: Sequence[Generation]
    by_row: Sequence[Mapping[str, Any]] = ()
    training_loss: charts.Points = ()
    held_out_loss: charts.Points = ()
    signatures: Mapping[str, str] = field(default_factory=dict)


def templates(folder: Path) -> Environment:
    """The templates in a folder, which escape every value."""
    environment = Environment(
        loader=FileSystemLoader(folder), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals |= {
        "both": both,
        "in_both": in_both,
        "in_both_each": in_both_each,
        "attribute": attribute,
    }
    return environment


def own_files(styles: Sequence[Path], scripts: Sequence[Path]) -> dict[str, str]:
    """A page's `style` and `script`, and the `policy` that allows these two and nothing else."""
    style, script = (
        "".join(path.read_text(encoding="utf-8") for path in paths) for paths in (styles, scripts)
    )
    hashes = (
        base64.b64encode(hashlib.sha256(each.encode()).digest()).decode()
        for each in (style, script)
    )
    allowed = "; style-src 'sha256-{}'; script-src 'sha256-{}'".format(*hashes)
    policy = f"default-src 'none'{allowed}; img-src data:; base-uri 'none'; form-action 'none'"
    return {"style": style, "script": script, "policy": policy}


def write_page(path: Path, report: Report) -> None:
    """Write the page. Every text is escaped, and the same report gives the same bytes.

    Raises ValueError if base and tuned are not of the same rows.
    """
    environment = templates(FOLDER)
    environment.filters |= {
        "number": wording.number,
        "signed": wording.signed,
        "p": wording.p_value,
        "percent": wording.percent,
    }
    scores, delta = report.scores, report.scores["delta"]
    primary = primary_score(report.task)
    rows = list(rows_of_texts(report.task, report.base, report.tuned, report.by_row))
    page = environment.get_template("page.html.jinja").render(
        report=report,
        task=TASK_NAMES[report.task],
        **own_files([FOLDER / "page.css"], [FOLDER / "page.js", SCRIPT]),
        verdict=in_both(wording.verdict, scores, primary),
        by_rule=in_both(wording.by_rule, scores),
        basis=in_both(wording.basis, scores),
        changes=in_both(wording.changes, scores, primary),
        interval=in_both(
            charts.interval, *(delta[key] for key in ("primary", "ci_low", "ci_high"))
        ),
        primary=primary,
        primary_name=in_both(wording.opening_name, primary),
        scores=[key for key in SCORE_NAMES if key in scores["base"] or key in scores["tuned"]],
        names={key: both(name) for key, name in SCORE_NAMES.items()},
        meanings={key: both(meaning) for key, meaning in SCORE_MEANINGS.items()},
        better=better_direction,
        significant=wording.SIGNIFICANT,
        pictures=list(_pictures(report)),
        rows_of_texts=rows,
        prompts=in_both(wording.prompts, len(rows)),
    )
    write_text(path, page + "\n")


def read_curve(path: Path) -> list[tuple[float, float]]:
    """The points (step, loss) of plots/train/<task>/loss.tsv or eval/loss.tsv.

    Raises UserError if there is no such file or it is no table of points.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = csv.DictReader(file, delimiter="\t")
            return [(float(line["step"]), float(line["loss"])) for line in lines]
    except FileNotFoundError:
        complaint = N_("{path}: no such file; `dvc repro` makes it, `dvc checkout` brings it back")
    except (KeyError, TypeError, ValueError):
        complaint = N_(
            "{path}: no table of step and loss; `dvc repro` makes it, `dvc checkout` brings it back"
        )
    raise UserError(complaint, path=path)


def _pictures(report: Report) -> Iterator[tuple[Both, Both, Both]]:
    """Title, explanation and SVG of each picture that the report has data for."""
    if curves := in_both(charts.loss_curve, report.training_loss, report.held_out_loss):
        yield (
            both("Loss"),
            both(
                "A held-out loss that rises while the training loss falls shows that the model"
                " memorises its training rows."
            ),
            curves,
        )
    references = {each.id: each.reference for each in report.base}.values()
    lengths = {
        "references": [len(without_space(reference)) for reference in references],
        "base": [len(without_space(each.text)) for each in report.base],
        "tuned": [len(without_space(each.text)) for each in report.tuned],
    }
    yield (
        both("Length"),
        both(
            "Lengths of the texts in characters, without white space. The references have the"
            " length that was asked for."
        ),
        in_both(charts.lengths, lengths),
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
            both("Form, rhyme and tones"),
            both(
                "Shares of poems that have the requested form, that rhyme, and that keep every tone"
                " rule. Tone rules count only for forms that have them."
            ),
            in_both(charts.shares, outcomes),
        )
