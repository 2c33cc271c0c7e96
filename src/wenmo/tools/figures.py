"""Write the tables of the READMEs and of docs/results.md: `make figures`, after `make repro`.

Each figure lies between <!-- name --> and <!-- /name --> and is never written by hand. The texts
are those of the first held-out rows; none is picked.
"""

from itertools import product
from pathlib import Path

import pandas as pd

from wenmo.config.params_file import TASKS
from wenmo.core.errors import UserError
from wenmo.core.language import in_language
from wenmo.core.records import Generation, read_json_lines, read_records, write_text
from wenmo.core.stage import run_stage
from wenmo.text.verse import form, verse_lines
from wenmo.tools.score_tables import comparison_table, read_scores, scores_table

TEXTS_PER_TASK = 2


def figures() -> dict[Path, dict[str, str]]:
    """The figures of each page, by the names of their markers."""
    scores = read_scores(TASKS)
    with in_language("zh"):
        chinese = comparison_table(scores)
    with in_language("en"):
        english, all_scores = comparison_table(scores), scores_table(scores)
    texts = {f"texts-{task}": sample_texts(task) for task in TASKS}
    return {
        Path("README.md"): {"comparison": english},
        Path("README.zh-CN.md"): {"comparison": chinese},
        Path("docs/results.md"): {
            "scores": all_scores,
            "measures": measures_table(),
            **texts,
        },
    }


def measures_table() -> str:
    """Markdown: form, rhyme and tones of the poems by the measure that was asked for."""
    poems = read_records(Generation, Path("outputs/poetry/eval.base.jsonl"))
    asked = {poem.id: form(verse_lines(poem.reference)) or (0, 0) for poem in poems}
    rows = []
    for _, row in read_json_lines(Path("reports/poetry.jsonl")):
        lines, length = asked[row["id"]]
        scores = {
            f"{score} {model}": row[model][score]
            for score, model in product(("form", "rhyme", "tones"), ("base", "tuned"))
        }
        rows.append({"lines × characters": f"{lines} × {length}", **scores})
    table = pd.DataFrame(rows).groupby("lines × characters", as_index=False)
    means = table.mean(numeric_only=True)
    means.insert(1, "poems", table.size()["size"])
    return str(means.to_markdown(index=False, floatfmt=".2f"))


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
            raise UserError(
                "{path}: expected one {opening} and one {closing}",
                path=path,
                opening=opening.strip(),
                closing=closing,
            )
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
