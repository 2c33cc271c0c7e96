"""The report page in a real browser: Debian's Chromium, without a network."""

import base64
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Request

from tests.small_report import (
    JUDGE,
    RIVER_POEM,
    SCORES,
    SEED_NOISE,
    SNOW_POEM,
    generation,
    report,
)
from wenmo.report.page import Report, write_page

DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 375, "height": 812}
EVERYTHING = SCORES | {"judge": JUDGE, "seed_noise": SEED_NOISE}

# Colours of a picture: how many there are, the first pixel's, and the share of all other pixels.
LOOK_AT = """async (png) => {
  const image = new Image();
  image.src = `data:image/png;base64,${png}`;
  await image.decode();
  const canvas = new OffscreenCanvas(image.width, image.height).getContext("2d");
  canvas.drawImage(image, 0, 0);
  const pixels = new Uint32Array(
    canvas.getImageData(0, 0, image.width, image.height).data.buffer);
  return {
    colours: new Set(pixels).size,
    background: [...new Uint8Array(pixels.buffer, 0, 3)],
    drawn: pixels.filter((pixel) => pixel !== pixels[0]).length / pixels.length,
  };
}"""


@dataclass
class Opened:
    """A page, what the browser complained of, what it asked for, and why it then did not."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    refused: dict[str, str | None] = field(default_factory=dict)

    def shown(self) -> list[str]:
        """The articles that can be seen."""
        articles = self.page.locator("article:visible")
        return [str(each.get_attribute("id")) for each in articles.all()]


def opened(browser: Browser, path: Path, size: Any = DESKTOP, scheme: Any = "light") -> Opened:
    """The file in a window of its own, offline."""
    context = browser.new_context(viewport=size, color_scheme=scheme, offline=True)
    result = Opened(context.new_page())

    def asked(request: Request) -> None:
        if not request.url.startswith("data:"):
            result.requests.append(request.url)

    def refused(request: Request) -> None:
        result.refused[request.url] = request.failure

    result.page.on("request", asked)
    result.page.on("requestfailed", refused)
    result.page.on("pageerror", lambda error: result.complaints.append(str(error)))
    result.page.on("console", lambda message: result.complaints.append(message.text))
    result.page.goto(path.as_uri())
    return result


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A page with everything that can be on one."""
    return page_of(tmp_path, report(scores=EVERYTHING))


def page_of(folder: Path, what: Report) -> Path:
    path = folder / "report.html"
    write_page(path, what)
    return path


def looked_at(browser: Browser, opened: Opened) -> dict[str, Any]:
    """The colours of the whole page, as a blank page of the same browser counts them."""
    png = base64.b64encode(opened.page.screenshot(full_page=True)).decode()
    blank = browser.new_page()
    seen: dict[str, Any] = blank.evaluate(LOOK_AT, png)
    blank.close()
    return seen


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_drawn_asks_for_nothing_and_raises_no_error(
    browser: Browser, written: Path, size: Any, scheme: str
) -> None:
    result = opened(browser, written, size, scheme)
    seen = looked_at(browser, result)
    assert result.complaints == []
    assert result.requests == [written.as_uri()]
    assert seen["colours"] > 100
    assert 0.02 < seen["drawn"] < 0.9
    assert (min(seen["background"]) > 200) == (scheme == "light")
    assert (max(seen["background"]) < 60) == (scheme == "dark")


def test_every_picture_is_drawn_and_described(browser: Browser, written: Path) -> None:
    pictures = opened(browser, written).page.get_by_role("img").all()
    assert len(pictures) == 4
    for picture in pictures:
        assert picture.get_attribute("aria-label")
        box = picture.bounding_box()
        assert box
        assert min(box["width"], box["height"]) > 30


def test_on_a_phone_only_tables_scroll_sideways(browser: Browser, tmp_path: Path) -> None:
    endless = "w" * 500
    one = generation(endless, prompt=endless, reference=endless)
    path = page_of(tmp_path, report(scores=EVERYTHING, base=[one], tuned=[one]))
    page = opened(browser, path, PHONE).page
    for summary in page.locator("summary").all():
        summary.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    for text in page.locator(".text, h3").all():
        assert text.evaluate("(each) => each.scrollWidth <= each.clientWidth")
    table = page.get_by_role("region", name="Comparison")
    assert table.evaluate("(each) => each.scrollWidth > each.clientWidth")
    left = [each.bounding_box() for each in page.locator(".written").all()]
    assert len({round(box["x"]) for box in left if box}) == 1


def test_a_couplet_of_seven_characters_fits_in_a_line_of_a_phone(
    browser: Browser, tmp_path: Path
) -> None:
    poem = "归舟一路載斜陽，隔岸人家稻米香。\n小犬不知何處去，門前新月已如霜。"
    one = generation(poem, reference=poem)
    page = opened(browser, page_of(tmp_path, report(base=[one], tuned=[one])), PHONE).page
    heights = "(each) => each.clientHeight / parseFloat(getComputedStyle(each).lineHeight)"
    for line in page.locator(".text p").all():
        assert round(line.evaluate(heights)) == 1


SEARCHES = {
    "叩户": ["aaaaaaaaaaaa-1"],
    "五言绝句": ["aaaaaaaaaaaa-1", "bbbbbbbbbbbb-2"],
    "炉温酒半樽。邻翁": ["aaaaaaaaaaaa-1"],
    "  芦花   舟 ": ["bbbbbbbbbbbb-2"],
    "ANT": ["aaaaaaaaaaaa-1"],
    "tokens": [],
}


def test_the_search_box_leaves_the_rows_that_hold_every_word(
    browser: Browser, written: Path
) -> None:
    result = opened(browser, written)
    found = result.page.get_by_role("status")
    assert found.inner_text() == "2 prompts"
    for typed, rows in SEARCHES.items():
        result.page.get_by_role("searchbox").press_sequentially(typed)
        assert result.shown() == rows, typed
        assert found.inner_text() == f"{len(rows)} of 2 prompts"
        result.page.get_by_role("searchbox").press("Escape")
        assert len(result.shown()) == 2
        assert found.inner_text() == "2 prompts"
    assert result.complaints == []


def test_the_keyboard_leads_to_the_search_box(browser: Browser, written: Path) -> None:
    page = opened(browser, written).page
    page.keyboard.press("/")
    page.keyboard.type("a/b")
    assert page.get_by_role("searchbox").input_value() == "a/b"


def test_rows_can_be_chosen_by_outcome(browser: Browser, written: Path, tmp_path: Path) -> None:
    result = opened(browser, written)
    outcome = result.page.get_by_role("combobox")
    outcome.select_option("tuned wins")
    assert result.shown() == ["aaaaaaaaaaaa-1"]
    result.page.get_by_role("searchbox").fill("孤帆")
    assert result.shown() == []
    outcome.select_option("a tie")
    assert result.shown() == ["bbbbbbbbbbbb-2"]
    assert result.page.get_by_role("status").inner_text() == "1 of 2 prompts"

    unknown = opened(browser, page_of(tmp_path, report(by_row=[])))
    assert unknown.page.get_by_role("combobox").count() == 0
    unknown.page.get_by_role("searchbox").fill("孤帆")
    assert unknown.shown() == ["bbbbbbbbbbbb-2"]
    assert unknown.complaints == []


def test_what_stands_in_the_reference_is_marked(browser: Browser, written: Path) -> None:
    page = opened(browser, written).page
    second = page.locator("article").nth(1)
    # The browser draws a row only once it is near, and what is not drawn has no inner text.
    assert second.locator(".tuned mark").all_text_contents() == ["孤帆过远洲"]
    assert page.locator("article").nth(0).locator(".base mark").all_text_contents() == ["夜雪"]
    assert page.locator(".written.references mark").count() == 0
    plain, marked = (
        page.locator(each).first.evaluate("(each) => getComputedStyle(each).backgroundColor")
        for each in ("article .text p", "article .text mark")
    )
    assert plain != marked


def test_a_text_is_shown_as_it_was_written(browser: Browser, tmp_path: Path) -> None:
    text = "  “雪？”\n\n夜雪压柴门，  炉温\u3000酒。\n"
    path = page_of(tmp_path, report(base=[generation(text)], tuned=[generation(SNOW_POEM)]))
    page = opened(browser, path).page
    lines = page.locator(".base .text p")
    assert "\n".join(lines.all_text_contents()) == text
    assert lines.first.evaluate("(each) => getComputedStyle(each).whiteSpace") == "pre-wrap"


def test_a_text_that_is_a_script_is_read_and_not_run(browser: Browser, tmp_path: Path) -> None:
    attack = "<script>window.ran = 1</script><img src='https://example.org/' onerror='ran = 1'>"
    one = generation(attack, prompt=attack, reference=attack + RIVER_POEM)
    result = opened(browser, page_of(tmp_path, report(base=[one], tuned=[one])))
    assert result.page.locator("article .base .text").inner_text() == attack
    assert result.page.evaluate("window.ran") is None
    assert result.complaints == []
    assert len(result.requests) == 1


def test_even_unescaped_a_script_would_not_run_nor_ask_the_network(
    browser: Browser, written: Path
) -> None:
    attack = """<script>window.ran = 1</script><img src="x" onerror="window.ran = 1">
        <link rel="stylesheet" href="https://example.org/x.css"><style>body{display:none}</style>
        <iframe src="https://example.org/"></iframe>"""
    page = written.read_text(encoding="utf-8")
    written.write_text(page.replace("</h1>", f"</h1>{attack}"), encoding="utf-8")
    result = opened(browser, written)
    assert result.page.evaluate("window.ran") is None
    assert result.page.locator("h1").is_visible()
    # What the policy blocks never leaves the browser, unlike what fails for want of a network.
    assert set(result.refused) == {*result.requests} - {written.as_uri()} != set()
    assert set(result.refused.values()) == {"csp"}
