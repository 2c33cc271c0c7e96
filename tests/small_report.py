"""A report of two poems, with all that evaluate may hand over."""

from dataclasses import replace
from typing import Any

from wenmo.core.records import Generation
from wenmo.report.page import Report
from wenmo.scoring.overlap import signatures

SNOW = "以“夜雪压柴门”为首句，写一首五言绝句。"
SNOW_POEM = "夜雪压柴门，炉温酒半樽。\n邻翁来叩户，共话到黄昏。"
RIVER = "以“孤帆过远洲”为首句，写一首五言绝句。"
RIVER_POEM = "孤帆过远洲，江水带云流。\n何处渔歌起，芦花满渡头。"

SCORES: dict[str, Any] = {
    "base": {"loss_per_character": 6.5, "form": 0.0, "rhyme": 0.0, "tones": 0.0, "rouge_1": 0.2},
    "tuned": {"loss_per_character": 6.1, "form": 0.5, "rhyme": 0.5, "tones": 0.0, "rouge_1": 0.3},
    "delta": {
        "primary": 0.5,
        "ci_low": 0.25,
        "ci_high": 0.75,
        "p_value": 0.01,
        "win_rate": 0.75,
        "wins": 1,
        "ties": 1,
        "losses": 0,
    },
    "floors": {"base": {"rouge_1": 0.19}, "tuned": {"rouge_1": 0.21}},
    "references": {"form": 1.0, "rhyme": 1.0, "tones": 1.0},
    "deltas": {
        "rouge_1": {
            "improvement": 0.1,
            "ci_low": -0.02,
            "ci_high": 0.22,
            "p_value": 0.04,
            "p_holm": 0.08,
        }
    },
}
BARE = {part: SCORES[part] for part in ("base", "tuned", "delta")}
SEED_NOISE = {"base": {"rouge_1": 0.0123}, "tuned": {"rouge_1": 0.0456}}
JUDGE = {
    "tuned_win_rate": 0.625,
    "ci_low": 0.5,
    "ci_high": 0.75,
    "p_value": 0.00001,
    "wins": 4,
    "ties": 2,
    "losses": 2,
    "consistency": 0.875,
    "judged": 8,
    "unfinished": 3,
}
BY_ROW = [
    {"id": "a" * 64, "source": "s", "prompt": SNOW, "base": {"form": 0.0}, "tuned": {"form": 1.0}},
    {"id": "b" * 64, "source": "s", "prompt": RIVER, "base": {"form": 0.0}, "tuned": {"form": 0.0}},
]


def generation(text: str, **changes: Any) -> Generation:
    """What a model wrote about the snow."""
    return replace(Generation("a" * 64, SNOW, SNOW_POEM, text, "stop", 24), **changes)


def report(**changes: Any) -> Report:
    """The report, but for some fields."""
    river = {"id": "b" * 64, "prompt": RIVER, "reference": RIVER_POEM}
    base = [generation("Ant门外雪，夜雪"), generation("", finish_reason="length", **river)]
    tuned = [generation(SNOW_POEM), generation("孤帆过远洲，明月在舟", **river)]
    full = Report(
        "poetry",
        SCORES,
        base,
        tuned,
        BY_ROW,
        [(1, 6.8), (50, 6.0), (100, 5.5)],
        [(0, 6.9), (100, 5.9)],
        signatures(),
    )
    return replace(full, **changes)
