"""Tables and texts in the READMEs and in docs/results.md."""

from pathlib import Path

import pytest

from tests.conftest import ROOT
from wenmo.config.params_file import TASKS
from wenmo.core.errors import UserError
from wenmo.core.language import Language, in_language
from wenmo.core.records import Generation, write_json_lines, write_records
from wenmo.tools.figures import measures_table, with_figures
from wenmo.tools.score_tables import comparison_table, read_scores, scores_table

PROSE = {
    "base": {"rouge_1": 0.1, "loss_per_character": 5.0},
    "tuned": {"rouge_1": 0.2, "loss_per_character": 4.5},
    "delta": {"primary": 0.5, "ci_low": 0.25, "ci_high": 0.75},
}
VERSE = {
    "base": {"form": 0.0, "loss_per_character": 6.0},
    "tuned": {"form": 0.5, "loss_per_character": 5.0},
    "delta": {"primary": 0.5, "ci_low": 0.25, "ci_high": 0.75},
}
BOTH = {"novel": PROSE, "poetry": VERSE}


def cells(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]


def test_scores_of_all_tasks_stand_side_by_side_in_one_order() -> None:
    titles, _, *rows = cells(scores_table(BOTH))
    assert titles == ["", "novel base", "novel tuned", "poetry base", "poetry tuned"]
    assert rows == [
        ["held-out loss per character (nats) ↓", "5.000", "4.500", "6.000", "5.000"],
        ["exact form ↑", "", "", "0.000", "0.500"],
        ["ROUGE-1 ↑", "0.100", "0.200", "", ""],
    ]


@pytest.mark.parametrize(
    ("language", "columns", "poetry"),
    [
        (
            "en",
            ["task", "primary score", "base", "tuned", "gain (95% interval)"],
            ["Poem", "exact form ↑", "0.000", "0.500", "0.500 (0.250 to 0.750)"],
        ),
        (
            "zh",
            ["任务", "主要指标", "基座", "微调后", "提升（95% 置信区间）"],
            ["古诗", "格式完全正确 ↑", "0.000", "0.500", "0.500（0.250 至 0.750）"],
        ),
    ],
)
def test_the_comparison_has_the_primary_score_of_each_task(
    language: Language, columns: list[str], poetry: list[str]
) -> None:
    with in_language(language):
        titles, _, *rows = cells(comparison_table(BOTH))
    assert titles == columns
    assert len(rows) == 2
    assert rows[1] == poetry


@pytest.mark.parametrize(
    ("language", "gain"), [("en", "none, since both are 0"), ("zh", "两者均为 0，无从比较")]
)
def test_a_score_of_0_for_both_is_no_comparison(language: Language, gain: str) -> None:
    delta = {"primary": 0.0, "ci_low": 0.0, "ci_high": 0.0}
    floor = {"base": {"form": 0.0}, "tuned": {"form": 0.0}, "delta": delta}
    with in_language(language):
        _, _, row = cells(comparison_table({"poetry": floor}))
    assert row[2:] == ["0.000", "0.000", gain]


def test_figures_replace_what_stands_between_their_markers() -> None:
    page = "a\n<!-- scores -->\nold\n<!-- /scores -->\nb\n"
    path = Path("README.md")
    assert with_figures(page, path, {"scores": r"new \1"}) == (
        "a\n<!-- scores -->\nnew \\1\n<!-- /scores -->\nb\n"
    )
    with pytest.raises(UserError, match=r"README\.md: expected one <!-- x --> and one"):
        with_figures(page, path, {"x": "new"})


def test_the_pages_show_the_committed_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    scores = read_scores(TASKS)
    shown = {
        "README.md": comparison_table(scores),
        "docs/results.md": scores_table(scores),
    }
    with in_language("zh"):
        shown["README.zh-CN.md"] = comparison_table(scores)
    for page, table in shown.items():
        assert table in Path(page).read_text(encoding="utf-8"), f"{page}: run `make figures`"


def test_poems_are_counted_by_the_measure_that_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    short = "月落鸡声远，霜清客路长。\n推窗寻旧影，一树桂花香。"
    long = "白云山外白云长，绿水桥边绿草香。\n我问牧童何处去，笑将横笛指斜阳。"
    rows = [Generation(str(at), "", poem, "", "stop", 1) for at, poem in enumerate((short, long))]
    write_records(Path("outputs/poetry/eval.base.jsonl"), rows)
    nothing = {"form": 0.0, "rhyme": 0.0, "tones": 0.0}
    tuned = [{"form": 1.0, "rhyme": 1.0, "tones": 1.0}, {"form": 0.0, "rhyme": 1.0, "tones": 1.0}]
    scores = [{"id": str(at), "base": nothing, "tuned": each} for at, each in enumerate(tuned)]
    write_json_lines(Path("reports/poetry.jsonl"), scores)
    _, _, *table = cells(measures_table())
    assert table == [
        ["4 × 5", "1", "0.00", "1.00", "0.00", "1.00", "0.00", "1.00"],
        ["4 × 7", "1", "0.00", "0.00", "0.00", "1.00", "0.00", "1.00"],
    ]
