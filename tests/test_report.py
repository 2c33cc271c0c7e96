from pathlib import Path

import pytest

from tests.conftest import ROOT
from wenmo.errors import UserError
from wenmo.records import Generation
from wenmo.report.names import SCORE_NAMES
from wenmo.report.page import write_page
from wenmo.report.readme import with_figures
from wenmo.report.tables import comparison_table, read_metrics, scores_table
from wenmo.tasks.task import TASKS

METRICS = {
    "base": {"loss_per_character": 6.5, "form": 0.0},
    "tuned": {"loss_per_character": 6.1, "form": 0.25},
    "delta": {"primary": 0.25, "ci_low": 0.1, "ci_high": 0.4, "p_value": 0.01, "win_rate": 0.6},
}


def test_texts_on_the_page_are_escaped(tmp_path: Path) -> None:
    attack = "<script>alert('雪')</script>"
    generation = Generation("1", attack, attack, attack, "stop", 3)
    write_page(tmp_path / "poetry.html", "poetry", METRICS, [generation], [generation])
    page = (tmp_path / "poetry.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert page.count("&lt;script&gt;") == 4
    assert "http" not in page


def test_an_empty_text_is_shown_as_such(tmp_path: Path) -> None:
    generation = Generation("1", "写诗", "雪", "", "stop", 1)
    write_page(tmp_path / "poetry.html", "poetry", METRICS, [generation], [generation])
    assert (tmp_path / "poetry.html").read_text(encoding="utf-8").count("（空）") == 2


def test_tables_stand_task_beside_task() -> None:
    prose = {
        part: {k: v for k, v in scores.items() if k != "form"} for part, scores in METRICS.items()
    }
    table = scores_table({"novel": prose, "poetry": METRICS}).splitlines()
    assert [cell.strip() for cell in table[0].split("|")[2:-1]] == [
        "novel base",
        "novel tuned",
        "poetry base",
        "poetry tuned",
    ]
    form = next(line for line in table if "exact form" in line)
    assert [cell.strip() for cell in form.split("|")[1:-1]] == [
        "exact form ↑",
        "",
        "",
        "0.000",
        "0.250",
    ]
    assert "0.100 to 0.400" in comparison_table({"poetry": METRICS})
    assert "form" in SCORE_NAMES


def test_figures_replace_what_stands_between_their_markers() -> None:
    page = "a\n<!-- scores -->\nold\n<!-- /scores -->\nb\n"
    path = Path("README.md")
    assert with_figures(page, path, {"scores": r"new \1"}) == (
        "a\n<!-- scores -->\nnew \\1\n<!-- /scores -->\nb\n"
    )
    with pytest.raises(UserError, match=r"README\.md: expected one <!-- x --> and one"):
        with_figures(page, path, {"x": "new"})


@pytest.mark.parametrize("readme", ["README.md", "README.zh-CN.md"])
def test_the_readmes_show_the_committed_metrics(
    readme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    text = Path(readme).read_text(encoding="utf-8")
    metrics = read_metrics(TASKS)
    for table in (scores_table(metrics), comparison_table(metrics)):
        assert table in text, "run `make figures`"
