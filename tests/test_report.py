"""The report page and its wording."""

import html
import re
from pathlib import Path
from typing import Any

import pytest

from tests.small_report import (
    BARE,
    BY_ROW,
    JUDGE,
    SCORES,
    SEED_NOISE,
    generation,
    report,
)
from wenmo.report.names import SCORE_MEANINGS, SCORE_NAMES, better_direction
from wenmo.report.page import Report, write_page
from wenmo.report.wording import changes, number, p_value, signed, verdict
from wenmo.scoring.overlap import signatures

MODELS = ("base", "tuned")


def written(folder: Path, report: Report) -> str:
    write_page(folder / "poetry.html", report)
    return (folder / "poetry.html").read_text(encoding="utf-8")


def words(page: str) -> str:
    """What of a page is read: no markup, no style, no script."""
    without = re.sub(r"<(style|script)>.*?</\1>|<[^>]*>", " ", page, flags=re.DOTALL)
    return " ".join(html.unescape(without).split())


def test_the_headline_says_whether_tuned_writes_better_by_how_much_and_how_surely(
    tmp_path: Path,
) -> None:
    assert (
        "Tuned keeps the form more often than base. Exact form goes from 0.000 to 0.500: an"
        " improvement of +0.500 , 95% interval +0.250 to +0.750, p = 0.0100. Tuned wins 1 of 2"
        " held-out rows, ties 1 and loses 0."
    ) in words(written(tmp_path, report()))


@pytest.mark.parametrize(
    ("primary", "low", "high", "p", "said"),
    [
        (0.3, 0.1, 0.5, 0.01, "Tuned keeps the form more often than base."),
        (-0.3, -0.5, -0.1, 0.01, "Tuned keeps the form less often than base."),
        (
            0.3,
            0.1,
            0.5,
            0.06,
            "Tuned seems to keep the form more often than base, but that is not certain.",
        ),
        (
            -0.3,
            -0.7,
            0.1,
            0.04,
            "Tuned seems to keep the form less often than base, but that is not certain.",
        ),
        (0.0, -0.2, 0.2, 1.0, "Tuned keeps the form neither more nor less often than base."),
    ],
)
def test_a_verdict_is_sure_only_if_test_and_interval_are(
    primary: float, low: float, high: float, p: float, said: str
) -> None:
    delta = {"primary": primary, "ci_low": low, "ci_high": high, "p_value": p}
    assert verdict(of_rows(4, 4, 4, **delta), "form") == said


def of_rows(wins: int, ties: int, losses: int, **delta: float) -> dict[str, Any]:
    """Scores of so many rows, whose primary score is 0 for both models."""
    won = {"wins": wins, "ties": ties, "losses": losses}
    same = {"primary": 0.0, "ci_low": 0.0, "ci_high": 0.0, "p_value": 1.0}
    return {"base": {"form": 0.0}, "tuned": {"form": 0.0}, "delta": same | delta | won}


def gain(improvement: float, low: float, high: float, p: float) -> dict[str, float]:
    return {"improvement": improvement, "ci_low": low, "ci_high": high, "p_holm": p}


def test_a_primary_score_that_is_0_for_both_decides_nothing_and_others_are_named() -> None:
    floor = of_rows(0, 38, 0)
    assert verdict(floor, "form") == (
        "Exact form is 0 for base and tuned in all 38 rows, so it does not tell them apart."
    )
    surely = {"ended": gain(0.5, 0.4, 0.6, 0.001), "rouge_1": gain(0.1, 0.05, 0.2, 0.01)}
    worse = {"copied": gain(-0.2, -0.3, -0.1, 0.02)}
    maybe = {"rhyme": gain(0.1, 0.01, 0.2, 0.2)}
    none = {"tones": gain(0.0, 0.0, 0.0, 1.0)}
    for deltas, said in (
        (
            surely | worse | maybe | none,
            "By other scores, tuned is better in ROUGE-1 and ends properly, and worse in copied"
            " texts.",
        ),
        (worse, "By other scores, tuned is worse in copied texts."),
        (maybe | none, "By other scores, tuned seems better in rhyme (平水), but that is not"),
        (none, "No other score tells them apart."),
    ):
        assert changes(floor | {"deltas": deltas}, "form").startswith(said)
    assert changes(floor, "form") == ""
    certain = of_rows(38, 0, 0, primary=0.5, ci_low=0.4, ci_high=0.6, p_value=0.01)
    assert changes(certain | {"deltas": surely}, "form") == ""


def test_the_page_names_what_changed_where_the_primary_score_does_not(tmp_path: Path) -> None:
    scores = SCORES | of_rows(0, 2, 0)
    scores["deltas"] = {"rouge_1": gain(0.1, 0.05, 0.2, 0.06)}
    page = words(written(tmp_path, report(scores=scores)))
    assert "Exact form is 0 for base and tuned in all 2 rows, too few to tell them apart." in page
    assert "By other scores, tuned seems better in ROUGE-1, but that is not certain." in page


@pytest.mark.parametrize(
    ("primary", "scores", "said"),
    [
        (
            0.3,
            of_rows(4, 1, 0),
            "Tuned seems to keep the form more often than base, but 5 rows are too few to",
        ),
        (
            -0.3,
            of_rows(0, 0, 2),
            "Tuned seems to keep the form less often than base, but 2 rows are too few to",
        ),
        (
            0.3,
            of_rows(6, 0, 0),
            "Tuned seems to keep the form more often than base, but that is not certain.",
        ),
        (
            0.3,
            of_rows(90, 0, 10) | {"books": 5},
            "Tuned seems to keep the form more often than base, but 5 books are too few to be"
            " certain.",
        ),
        (
            0.3,
            of_rows(90, 0, 10) | {"books": 1},
            "Tuned seems to keep the form more often than base, but that is not certain.",
        ),
    ],
)
def test_too_few_rows_for_any_certainty_are_told(
    primary: float, scores: dict[str, Any], said: str
) -> None:
    scores["delta"] |= {"primary": primary, "ci_low": primary, "ci_high": primary, "p_value": 0.06}
    assert verdict(scores, "form").startswith(said)


def test_what_is_the_same_in_all_rows_and_not_0_is_told_likewise() -> None:
    scores = of_rows(0, 40, 0) | {"base": {"form": 1.0}}
    assert verdict(scores, "form").startswith("Exact form is the same for base and tuned in all 40")


def test_who_has_the_lower_loss_predicts_better_and_need_not_write_better() -> None:
    delta = {"primary": 0.3, "ci_low": 0.1, "ci_high": 0.5, "p_value": 0.01}
    assert verdict(of_rows(9, 0, 3, **delta), "loss_per_character") == (
        "Tuned predicts the held-out texts better than base."
    )
    unsure = of_rows(9, 0, 3, **delta | {"p_value": 0.2})
    assert verdict(unsure, "loss_per_character") == (
        "Tuned seems to predict the held-out texts better than base, but that is not certain."
    )


def test_who_copied_is_named_beside_the_text(tmp_path: Path) -> None:
    rows = [row | {"tuned": row["tuned"] | {"copied": at}} for at, row in enumerate(BY_ROW)]
    page = words(written(tmp_path, report(by_row=rows)))
    assert page.count("tuned copied from the training text") == len(BY_ROW) - 1
    assert "base copied" not in page


def test_digits_are_those_that_can_matter() -> None:
    assert [number(value) for value in (0.12345, -0.00001, 18.93)] == ["0.123", "0.000", "18.9"]
    assert [signed(value) for value in (0.5, -0.5, -0.00001, 18.93)] == [
        "+0.500",
        "−0.500",
        "0.000",
        "+18.9",
    ]
    assert [p_value(value) for value in (0.00001, 0.04)] == ["< 0.0001", "0.0400"]


def test_a_score_stands_beside_its_floor_the_references_and_its_improvement(
    tmp_path: Path,
) -> None:
    page = words(written(tmp_path, report()))
    assert "exact form ↑ primary 0.000 0.500 1.000 +0.500 +0.250 to +0.750 0.0100" in page
    assert "ROUGE-1 ↑ 0.200 0.190 0.300 0.210 +0.100 −0.020 to +0.220 0.0800" in page
    assert SCORE_MEANINGS["rouge_1"] in page
    assert signatures()["bleu"] in page


VERDICTS = "tuned wins 4, ties 2 and loses 2."


@pytest.mark.parametrize(
    ("detail", "content", "said"),
    [
        ("seed_noise", SEED_NOISE, "Variation between seeds"),
        ("seed_noise", SEED_NOISE, "ROUGE-1 0.012 0.046"),
        ("judge", JUDGE, "An LLM judge prefers tuned in 62% of 8 pairs, 95% interval 50% to 75%,"),
        ("judge", JUDGE, f"p < 0.0001: {VERDICTS} With the two texts exchanged, its verdict stays"),
        ("judge", JUDGE, "the same in 88% of the pairs. Pairs without a verdict: 3."),
        ("judge", JUDGE | {"unasked": 8}, "since a text is empty or both are the same: 8."),
        ("judge", {"wins": 1, "judged": 1, "tuned_win_rate": 1.0}, "100% of 1 pairs: tuned wins 1"),
        ("judge", {"judged": 0, "unfinished": 5}, "An LLM judge finished no pair. Pairs without"),
        ("books", 1, "All rows are from one book, and the result holds for that book alone."),
        ("books", 3, "The rows are from 3 books, and the interval draws whole books."),
        ("floors", SCORES["floors"], "base floor tuned floor"),
        ("references", SCORES["references"], "score base tuned references"),
        ("deltas", SCORES["deltas"], "+0.100 −0.020 to +0.220 0.0800"),
    ],
)
def test_a_detail_is_told_where_there_is_one(
    tmp_path: Path, detail: str, content: object, said: str
) -> None:
    assert said in words(written(tmp_path, report(scores=BARE | {detail: content})))
    assert said not in words(written(tmp_path, report(scores=BARE)))


def test_texts_on_the_page_are_escaped(tmp_path: Path) -> None:
    attack = "<script>alert('雪')</script>"
    one = generation(attack, id='"><script>', prompt=attack, reference=attack + "。")
    page = written(tmp_path, report(base=[one], tuned=[one]))
    assert page.count("<script") == 1
    assert "<script>alert" not in page
    assert page.count("&lt;") >= 4


def test_several_generations_of_a_row_stand_in_one_article(tmp_path: Path) -> None:
    base = [generation("一稿"), generation("二稿", finish_reason="length", tokens=512)]
    tuned = [generation("三稿"), generation("")]
    page = written(tmp_path, report(base=base, tuned=tuned))
    assert page.count("<article") == 1
    assert "1 prompt</output>" in page
    assert re.search(
        "base 1 一稿 24 tokens · ended by itself.* tuned 1 三稿.* base 2 二稿 512 tokens · cut off"
        ".* tuned 2 （空）.* reference 夜雪压柴门",
        words(page),
    )


def test_of_a_poem_it_is_told_what_it_keeps(tmp_path: Path) -> None:
    page = words(written(tmp_path, report()))
    assert "✗ form · ✗ rhyme · ✗ tones" in page
    assert "✓ form · ✓ rhyme · ✓ tones" in page
    six = generation("雪\n", reference="千山鸟飞绝尽，万径人踪灭没。")
    assert "✗ tones" not in words(written(tmp_path, report(base=[six], tuned=[six])))


def test_rows_are_won_tied_or_lost_by_the_primary_score(tmp_path: Path) -> None:
    page = words(written(tmp_path, report()))
    assert "tuned wins 0.000 → 1.000" in page
    assert "a tie 0.000 → 0.000" in page
    losses = [{"id": "a" * 64} | {m: {"loss_per_character": 6.0 + (m == "tuned")} for m in MODELS}]
    one = [generation("雪")]
    prose = report(task="novel", by_row=losses, base=one, tuned=one)
    assert "tuned loses 6.000 → 7.000" in words(written(tmp_path, prose))
    assert "tuned wins 0" not in words(written(tmp_path, report(by_row=[])))


def test_anchors_are_unique_and_lead_to_their_rows(tmp_path: Path) -> None:
    page = written(tmp_path, report())
    anchors = re.findall('<article id="([^"]+)"', page)
    assert anchors == ["aaaaaaaaaaaa-1", "bbbbbbbbbbbb-2"]
    assert re.findall('class="number" href="#([^"]+)"', page) == anchors
    identities = re.findall(' id="([^"]+)"', page)
    assert len(identities) == len(set(identities))


def test_texts_of_other_rows_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"row 1: base has a+, tuned has another row"):
        write_page(
            tmp_path / "x.html", report(base=[generation("雪")], tuned=[generation("雪", id="c")])
        )


def test_the_same_report_gives_the_same_bytes_and_names_no_address(tmp_path: Path) -> None:
    page = written(tmp_path, report())
    assert page == written(tmp_path, report())
    assert "http:" not in page
    assert "https:" not in page


def test_every_score_has_a_meaning() -> None:
    assert list(SCORE_MEANINGS) == list(SCORE_NAMES)
    directions = [better_direction(score) for score in ("form", "copied", "sentence_length")]
    assert directions == ["↑", "↓", ""]


def test_what_was_decoded_by_rule_is_told_beside_the_verdict(tmp_path: Path) -> None:
    measures = {
        "五言绝句": {
            "rows": 2,
            **{who: {"rhyme": 0.5, "tones": 0.25} for who in ("base", "tuned", "references")},
        }
    }
    ruled = {**SCORES, "by_rule": {"form": 1, "rhyme": 1}, "measures": measures}
    write_page(tmp_path / "ruled.html", report(scores=ruled))
    write_page(tmp_path / "free.html", report())
    page, free = ((tmp_path / f"{name}.html").read_text() for name in ("ruled", "free"))
    told = "Decoded by rule: exact form and rhyme (平水) are the decoder&#39;s, and no model has"
    assert page.index("</h1>") < page.index(told) < page.index('class="headline"')
    assert page.count(">by rule</span></small>") == 2
    assert "By measure" in page
    assert "by rule" not in free.lower()
