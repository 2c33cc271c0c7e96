"""Rhyme and tones of poems by measure, beside the references' own.

Human poems do not keep the rules equally often in all measures: of Tang poems 86 of 100
七言绝句 and 60 of 100 五言绝句 keep all tone rules (bench/prosody.md).
"""

from collections.abc import Mapping, Sequence
from statistics import fmean

from wenmo.core.records import Generation
from wenmo.scoring.poetry import rhymed, tones_kept
from wenmo.scoring.scorecard import Scorecard
from wenmo.text.asked_verse import FORMS
from wenmo.text.verse import form, verse_lines

Scores = dict[str, float]


def by_measure(
    references: Sequence[Generation], cards: Mapping[str, Scorecard]
) -> dict[str, dict[str, float | Scores]]:
    """For each measure of the references its rows, and rhyme and tones of them and of each model.

    A measure that no reference has is left out.
    """
    found: dict[str, dict[str, float | Scores]] = {}
    forms = [form(verse_lines(each.reference)) for each in references]
    for name, wanted in FORMS.items():
        rows = [at for at, each in enumerate(forms) if each == wanted]
        if not rows:
            continue
        poems = [references[at].reference for at in rows]
        found[name] = {
            "rows": len(rows),
            **{model: _of_rows(card, rows) for model, card in cards.items()},
            "references": {
                "rhyme": fmean(map(rhymed, poems)),
                "tones": fmean(map(tones_kept, poems)),
            },
        }
    return found


def _of_rows(card: Scorecard, rows: Sequence[int]) -> Scores:
    return {name: fmean(card.by_row[name][at] or 0.0 for at in rows) for name in ("rhyme", "tones")}
