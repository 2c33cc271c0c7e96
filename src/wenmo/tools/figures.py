"""Write the tables of the READMEs and of docs/results.md: `make figures`, after `make repro`.

Each figure lies between <!-- name --> and <!-- /name --> and is never written by hand. The texts
are those of the first held-out rows; none is picked.
"""

from collections.abc import Callable
from pathlib import Path
from statistics import fmean

import pandas as pd

from wenmo.config.params_file import TASKS
from wenmo.core.errors import UserError
from wenmo.core.records import Generation, read_records, write_text
from wenmo.core.stage import run_stage
from wenmo.scoring.poetry import exact_form, rhymed, tones_kept
from wenmo.text.verse import form, verse_lines
from wenmo.tools.score_tables import (
    CHINESE,
    ENGLISH,
    comparison_table,
    read_scores,
    scores_table,
)

TEXTS_PER_TASK = 2
_MEASURED: dict[str, Callable[[str, str], bool]] = {
    "form": exact_form,
    "rhyme": lambda text, _: rhymed(text),
    "tones": lambda text, _: tones_kept(text),
}


def figures() -> dict[Path, dict[str, str]]:
    """The figures of each page, by the names of their markers."""
    scores = read_scores(TASKS)
    texts = {f"texts-{task}": sample_texts(task) for task in TASKS}
    return {
        Path("README.md"): {"comparison": comparison_table(scores, ENGLISH)},
        Path("README.zh-CN.md"): {"comparison": comparison_table(scores, CHINESE)},
        Path("docs/results.md"): {
            "scores": scores_table(scores),
            "measures": measures_table(),
            **texts,
        },
    }


def measures_table() -> str:
    """Markdown: form, rhyme and tones of the poems by the measure that was asked for."""
    base = read_records(Generation, Path("outputs/poetry/eval.base.jsonl"))
    tuned = read_records(Generation, Path("outputs/poetry/eval.tuned.jsonl"))
    by_measure: dict[tuple[int, int], list[int]] = {}
    for at, row in enumerate(base):
        by_measure.setdefault(form(verse_lines(row.reference)) or (0, 0), []).append(at)
    lines = []
    for (count, length), rows in sorted(by_measure.items()):
        cells: dict[str, object] = {"lines × characters": f"{count} × {length}", "poems": len(rows)}
        for name, shares in _MEASURED.items():
            cells[f"{name} base"] = fmean(shares(base[at].text, base[at].reference) for at in rows)
            cells[f"{name} tuned"] = fmean(
                shares(tuned[at].text, tuned[at].reference) for at in rows
            )
        lines.append(cells)
    return str(pd.DataFrame(lines).to_markdown(index=False, floatfmt=".2f"))


def sample_texts(task: str) -> str:
    """Markdown: the first held-out prompts with what base and tuned wrote."""
    base = read_records(Generation, Path(f"outputs/{task}/eval.base.jsonl"))
    tuned = read_records(Generation, Path(f"outputs/{task}/eval.tuned.jsonl"))
    parts = []
    for before, after in list(zip(base, tuned, strict=True))[:TEXTS_PER_TASK]:
        parts.append(f"**{before.prompt}**\n\nbase:\n\n{_quote(before.text)}")
        parts.append(f"tuned:\n\n{_quote(after.text)}")
    return "\n\n".join(parts)


def with_figures(text: str, path: Path, figures: dict[str, str]) -> str:
    """The page with every figure replaced. Raises UserError if a marker is missing."""
    for name, figure in figures.items():
        opening, closing = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        if text.count(opening) != 1 or text.count(closing) != 1:
            raise UserError(f"{path}: expected one {opening.strip()} and one {closing}")
        before, _, rest = text.partition(opening)
        text = f"{before}{opening}{figure}\n{closing}{rest.partition(closing)[2]}"
    return text


def _quote(text: str) -> str:
    # Two spaces at the end of a line keep the lines of a poem apart.
    return "\n".join(f"> {line}  " for line in (text or "（空）").split("\n"))


if __name__ == "__main__":
    with run_stage("figures"):
        for path, of_page in figures().items():
            write_text(path, with_figures(path.read_text(encoding="utf-8"), path, of_page))
