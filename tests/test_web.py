"""`wenmo web` in a real browser: tabs, links, many users, and no request to another host."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from typer.testing import CliRunner

from tests.small_demo import served, small_repository
from tests.streaming_server import StreamingServer
from wenmo.config.params_file import TASKS
from wenmo.core.errors import ParamsError
from wenmo.core.language import in_language
from wenmo.scoring.poetry import exact_form, tones_kept
from wenmo.text.patterns import couplets, tunes
from wenmo.text.readings import line_readings
from wenmo.text.tune_rhymes import tune_rhyme
from wenmo.tools import cli
from wenmo.tools.writing.link import MAX_TYPED, PageLink, read_link
from wenmo.tools.writing.poem_html import facts, poem_html, text_html
from wenmo.tools.writing.web_server import listening_socket
from wenmo.tools.writing.writer import WritingParams

TIMEOUT = 120_000
"""Longest wait of the browser (milliseconds)."""

USERS = 20
PHONE = {"width": 390, "height": 844}
ATTACK = (
    "<script>window.ran = 1</script><img src='https://example.org/' onerror='ran = 1'>${ran = 1}"
)
TYPED = {"novel": "灯塔", "fairytale": "一颗怕黑的星星", "poetry": "一篙春水绿"}

# The length of the text after each change of the panel.
WATCH = """(panel) => {
  window.lengths = [];
  new MutationObserver(() => {
    const text = panel.querySelector(".text");
    if (text) window.lengths.push(text.innerText.length);
  }).observe(panel, {childList: true, subtree: true, characterData: true});
}"""


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    return small_repository(tmp_path_factory.mktemp("web") / "wenmo", tiny_model, TASKS)


@pytest.fixture(scope="module")
def address(repository: Path) -> Iterator[str]:
    """The page of the models in models/."""
    with served(repository, "--port", "0") as address:
        yield address


@pytest.fixture(scope="module")
def server() -> Iterator[StreamingServer]:
    with StreamingServer() as server:
        yield server


@pytest.fixture(scope="module")
def endpoint_page(repository: Path, server: StreamingServer) -> Iterator[str]:
    """The page of a server whose answers the tests set."""
    with served(repository, "--port", "0", "--endpoint", server.url) as address:
        yield address


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    with user(browser) as context:
        yield context


@contextmanager
def user(browser: Browser, **options: Any) -> Iterator[BrowserContext]:
    """A user, in whose browser no error and no request to another host may occur."""
    context = browser.new_context(**{"locale": "en-US"} | options)
    context.set_default_timeout(TIMEOUT)
    complaints, hosts = list[str](), set[str | None]()
    context.on("weberror", lambda error: complaints.append(str(error.error)))
    context.on(
        "console",
        lambda message: complaints.append(message.text) if message.type == "error" else None,
    )
    context.on("request", lambda request: hosts.add(urlsplit(request.url).hostname))
    yield context
    context.close()
    assert complaints == []
    assert hosts - {None, "", "127.0.0.1"} == set()


def opened(context: BrowserContext, address: str, task: str = "", **query: str) -> Page:
    """A page, at a task's tab."""
    page = context.new_page()
    page.goto(f"{address}/?{urlencode(query)}" if query else address)
    if task:
        names = {"novel": "Novel", "fairytale": "Fairy tale", "poetry": "Poem"}
        page.get_by_role("tab", name=names[task]).click()
    return page


def choose(page: Page, label: str, choice: str) -> None:
    """Take one of a list's choices."""
    page.get_by_label(label).locator("visible=true").first.click()
    page.get_by_role("option", name=choice, exact=True).click()


def ask(page: Page, typed: str) -> None:
    page.locator(".typed textarea:visible").fill(typed)
    page.get_by_role("button", name="Write").locator("visible=true").click()


def whole_texts(page: Page) -> list[str]:
    """The texts of base and tuned, as the page shows them without the tones, once both ended."""
    expect(page.locator(".facts.ended:visible")).to_have_count(2, timeout=TIMEOUT)
    return shown_texts(page)


def shown_texts(page: Page) -> list[str]:
    without_tones = """(each) => {
      const copy = each.cloneNode(true);
      copy.querySelectorAll("rt").forEach((mark) => mark.remove());
      copy.querySelectorAll("br").forEach((line) => line.replaceWith("\\n"));
      return [...copy.children].map((line) => line.textContent).join("\\n");
    }"""
    return [each.evaluate(without_tones) for each in page.locator(".panel .text:visible").all()]


def until(page: Page, holds: Callable[[], bool]) -> None:
    """Wait until a condition holds, while the page goes on."""
    deadline = time.monotonic() + TIMEOUT / 1000
    while not holds():
        assert time.monotonic() < deadline
        page.wait_for_timeout(50)


@pytest.mark.parametrize(
    "task", ["novel", pytest.param("fairytale", marks=pytest.mark.full), "poetry"]
)
def test_each_tab_shows_both_texts_as_they_grow(
    context: BrowserContext, address: str, task: str
) -> None:
    page = opened(context, address, task)
    panels = page.locator(f".written.tuned .panel.{task}:visible > div, .tuned .panel:visible")
    panels.first.evaluate(WATCH)
    ask(page, TYPED[task])
    base, tuned = whole_texts(page)
    assert base
    assert tuned
    assert base != tuned
    lengths = page.evaluate("window.lengths")
    assert len(set(lengths)) > 3
    assert lengths == sorted(lengths)
    told = page.locator(".written.tuned .facts:visible").inner_text()
    assert told.startswith(f"{len(''.join(tuned.split()))} characters · ")
    assert "% repeated" in told
    assert page.locator(".poem ruby.level:visible").count() if task == "poetry" else True


def test_an_example_can_be_tried(context: BrowserContext, endpoint_page: str) -> None:
    page = opened(context, endpoint_page, "poetry")
    page.get_by_text("雨歇长街唤卖花").locator("visible=true").click()
    expect(page.locator(".typed textarea:visible")).to_have_value("雨歇长街唤卖花")


def test_a_link_calls_up_the_very_texts(
    context: BrowserContext, browser: Browser, address: str
) -> None:
    page = opened(context, address, "poetry")
    choose(page, "Form", "七言律诗")
    page.get_by_role("button", name="Sampling").locator("visible=true").click()
    temperature = page.get_by_role("spinbutton", name="Temperature").locator("visible=true")
    slider = page.get_by_role("slider", name="Temperature").locator("visible=true")

    def taken_over() -> bool:
        """Whether the page has the number, which it loses where it is still setting itself up."""
        temperature.fill("1.3")
        temperature.press("Tab")
        return slider.input_value() == "1.3"

    until(page, taken_over)
    ask(page, "秋夜 & <雪>")
    texts = whole_texts(page)
    link = page.locator(".link input:visible").input_value()
    assert page.url == link
    seed = page.locator(".seed input:visible").input_value()
    assert f"seed={seed}&temperature=1.3" in link

    with user(browser) as other:
        called = other.new_page()
        called.goto(link)
        assert whole_texts(called) == texts
        assert called.locator(".typed textarea:visible").input_value() == "秋夜 & <雪>"
        # A linked text keeps its seed when it is written again.
        called.locator(".facts").evaluate_all("all => all.forEach((each) => each.title = 'old')")
        called.get_by_role("button", name="Write").locator("visible=true").click()
        new = called.locator(".facts.ended:not([title]):visible")
        expect(new).to_have_count(2, timeout=TIMEOUT)
        assert shown_texts(called) == texts
        assert called.url == link
        others = link.replace("models=", "models=0")
        called.goto(others)
        expect(called.locator("#notice")).to_contain_text("models have changed", timeout=TIMEOUT)


def test_a_tune_is_filled_by_its_rules(context: BrowserContext, address: str) -> None:
    page = opened(context, address, "poetry")
    choose(page, "Form or tune", "点绛唇")
    choose(page, "Rules that it must keep", "tones as well")
    choose(page, "Rhyme", "第四部")
    ask(page, "雪夜")
    texts = whole_texts(page)
    for text in texts:
        assert exact_form(text, "", tunes()["点绛唇"])
        assert tones_kept(text, tunes()["点绛唇"])
        assert ("第四部", "仄") in line_readings(text.rstrip("。？！")[-1], tune_rhyme)[0]
    assert page.locator(".facts.ended:visible").first.inner_text().count(" 0 faults") <= 1
    assert page.locator(".poem ruby.forced:visible").count() > 0
    assert page.locator(".poem ruby.open:visible").count() == 0
    assert "verse=full&rhyme=%E7%AC%AC%E5%9B%9B%E9%83%A8" in page.url


def test_each_text_has_a_new_seed(context: BrowserContext, address: str) -> None:
    page = opened(context, address, "novel")
    ask(page, "灯塔")
    first, link = whole_texts(page), page.url
    ask(page, "灯塔")
    page.wait_for_url(lambda url: url != link)
    assert whole_texts(page) != first


@pytest.mark.parametrize(
    "query",
    [
        {"task": "poetry", "text": "雪", "form": ATTACK},
        {"task": "poetry", "text": "雪" * (MAX_TYPED + 1)},
        pytest.param(
            {"task": "poetry", "text": "雪", "temperature": ATTACK}, marks=pytest.mark.full
        ),
        pytest.param(
            {"task": "poetry", "text": "雪", "temperature": "nan"}, marks=pytest.mark.full
        ),
        pytest.param(
            {"task": "poetry", "text": "雪", "max_new_tokens": "1000000"}, marks=pytest.mark.full
        ),
    ],
)
def test_a_wrong_link_is_told_as_text(
    context: BrowserContext, endpoint_page: str, server: StreamingServer, query: dict[str, str]
) -> None:
    asked = len(server.asked)
    page = opened(context, endpoint_page, **query)
    expect(page.locator("#notice")).to_contain_text("This link cannot be read", timeout=TIMEOUT)
    assert page.evaluate("window.ran") is None
    assert len(server.asked) == asked


def test_a_script_in_prompt_and_text_is_shown_as_text(
    context: BrowserContext, endpoint_page: str, server: StreamingServer
) -> None:
    server.pieces, before = (ATTACK, "雪，"), server.pieces
    try:
        for task in TASKS:
            page = opened(context, endpoint_page, task)
            ask(page, ATTACK)
            for text in whole_texts(page):
                assert text == f"{ATTACK}雪，"
            assert ATTACK in server.asked[-1]["messages"][-1]["content"]
            assert page.evaluate("window.ran") is None
            page.close()
    finally:
        server.pieces = before


def test_stop_ends_both_texts_and_nobody_elses(
    context: BrowserContext, endpoint_page: str, server: StreamingServer
) -> None:
    server.endless, left = True, server.left
    try:
        mine, other = (opened(context, endpoint_page, "novel") for _ in range(2))
        for page in (mine, other):
            ask(page, "灯塔")
            expect(page.locator(".panel .text:visible").first).to_contain_text("杏花齐。一篙春")
        mine.get_by_role("button", name="Stop").locator("visible=true").click()
        until(mine, lambda: server.left == left + 2)
        before = len(shown_texts(other)[0])
        until(other, lambda: len(shown_texts(other)[0]) > before + 40)
        kept = shown_texts(mine)
        assert all(kept)
        assert server.left == left + 2
        # Closing the page stops its texts too.
        other.close()
        until(mine, lambda: server.left == left + 4)
        server.endless = False
        ask(mine, "灯塔")
        # The stopped texts may still be on the page.
        until(mine, lambda: whole_texts(mine) == ["一篙春水绿，\n两岸杏花齐。"] * 2)
    finally:
        server.endless = False


@pytest.mark.full
def test_twenty_users_at_a_time_get_their_own_texts(browser: Browser, address: str) -> None:
    query = {"task": "poetry", "form": "五言绝句", "seed": "1", "max_new_tokens": "20"}
    with ExitStack() as users:
        pages = []
        for number in range(USERS):
            page = users.enter_context(user(browser)).new_page()
            query["text"] = f"第{number}首"
            page.goto(f"{address}/?{urlencode(query)}", wait_until="commit")
            pages.append(page)
        texts = [tuple(whole_texts(page)) for page in pages]
        assert not any(page.locator(".toast-body").count() for page in pages)
    assert all(all(each) for each in texts)
    assert len(set(texts)) == USERS


def test_it_can_be_used_on_a_phone(browser: Browser, endpoint_page: str) -> None:
    with user(browser, viewport=PHONE) as context:
        for task in TASKS:
            page = opened(context, endpoint_page, task)
            ask(page, TYPED[task])
            whole_texts(page)
            assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
            boxes = [each.bounding_box() for each in page.locator(".written:visible").all()]
            assert len({box["x"] for box in boxes if box}) == 1
            assert all(box["width"] > 300 for box in boxes if box)
            page.close()


def test_it_speaks_the_browsers_language(browser: Browser, endpoint_page: str) -> None:
    with user(browser, locale="zh-CN") as context:
        page = opened(context, endpoint_page)
        page.get_by_role("tab", name="古诗").click()
        page.locator(".typed textarea:visible").fill("一篙春水绿")
        page.get_by_role("button", name="写", exact=True).locator("visible=true").click()
        whole_texts(page)
        assert page.locator(".facts:visible").first.inner_text().startswith("12 字 · 重复 0% · ")


def test_a_text_can_be_copied_and_downloaded(browser: Browser, endpoint_page: str) -> None:
    with user(browser, permissions=["clipboard-read", "clipboard-write"]) as context:
        page = opened(context, endpoint_page, "poetry")
        ask(page, "一篙春水绿")
        (text, _) = whole_texts(page)
        page.get_by_role("button", name="Copy").locator("visible=true").first.click()
        page.wait_for_function("async () => (await navigator.clipboard.readText()).length")
        assert page.evaluate("navigator.clipboard.readText()") == text
        with page.expect_download() as download:
            page.get_by_role("button", name="Download").locator("visible=true").last.click()
        seed = page.url.partition("seed=")[2].partition("&")[0]
        assert download.value.suggested_filename == f"poetry-tuned-{seed}.txt"
        assert Path(download.value.path()).read_text(encoding="utf-8") == f"{text}\n"


def test_an_error_is_shown(browser: Browser, endpoint_page: str, server: StreamingServer) -> None:
    context = browser.new_context(locale="en-US")
    server.status = 500
    try:
        for typed, title, told in (
            ("灯塔", "Error", "500: not with"),
            ("", "Warning", "Fill in “Theme of the passage” first, or click an example."),
        ):
            page = opened(context, endpoint_page, "novel")
            ask(page, typed)
            shown = page.locator(".toast-body").inner_text(timeout=TIMEOUT)
            assert shown.startswith(title)
            assert told in shown
            # Gradio marks what an error has kept from being written.
            failed = page.locator(".panel .error:visible")
            expect(failed).to_have_count(2 if title == "Error" else 0)
            page.close()
    finally:
        server.status = 200
        context.close()


def test_a_busy_port_gives_the_next_free_one() -> None:
    with (
        listening_socket("127.0.0.1", 0) as first,
        listening_socket("127.0.0.1", first.getsockname()[1]) as second,
    ):
        assert second.getsockname()[1] > first.getsockname()[1]


@pytest.mark.parametrize(
    ("arguments", "error", "code"),
    [
        (["--host", "0.0.0.0"], "--host 0.0.0.0 is open to other machines; add --auth user:VA", 2),
        (["--host", "::", "--auth", "me"], "--auth me: expected user:VARIABLE", 2),
        (["--auth", "me:NO_SUCH_VARIABLE"], "--auth: the environment variable NO_SUCH_V", 2),
        (["--task", "essay"], "'essay' is no task; allowed are novel, fairytale, poetry", 2),
        ([], "Gradio is not installed; `pip install -c constraints.txt -e '.[demo]'` installs", 1),
    ],
)
def test_a_wrong_value_is_one_line(
    repository: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    error: str,
    code: int,
) -> None:
    monkeypatch.chdir(repository)
    monkeypatch.setitem(sys.modules, "gradio", None)
    run = CliRunner().invoke(cli.app, ["web", *arguments])
    assert run.stderr.startswith(f"web: {error}")
    assert run.stderr.count("\n") == 1
    assert run.exit_code == code


def test_missing_models_are_one_line(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "params.yaml").write_bytes((repository / "params.yaml").read_bytes())
    monkeypatch.chdir(tmp_path)
    for command in (["web"], ["write", "雪"]):
        run = CliRunner().invoke(cli.app, command)
        assert run.stderr == f"{command[0]}: models/base: no model there; `make repro` builds it\n"
        assert run.exit_code == 1


# --- Without a browser.


def test_a_link_holds_all_that_a_text_depends_on() -> None:
    sampling = {"poetry": WritingParams.load("poetry").generate.sampling}
    link = PageLink("poetry", "秋夜 & <雪>?#=%", "七言律诗", 7, sampling["poetry"], "c0ffee")
    assert read_link(dict(parse_qsl(link.query()[1:])), sampling) == link
    ruled = replace(link, form="浣溪沙", verse="full", rhyme="第三部")
    assert read_link(dict(parse_qsl(ruled.query()[1:])), sampling) == ruled
    # A link may be written by hand, in simplified characters.
    asked = read_link(
        {"task": "poetry", "text": "雪", "verse": "full", "rhyme": "上平一东"}, sampling
    )
    assert asked and asked.rhyme == "上平一東"
    for wrong in ({"verse": "all"}, {"rhyme": "山"}, {"form": "雪花飘"}):
        with pytest.raises(ParamsError, match="allowed are"):
            read_link({"task": "poetry", "text": "雪", **wrong}, sampling)
    assert read_link({"task": "poetry"}, sampling) is None
    for name, value in (
        ("temperature", ATTACK),
        ("temperature", "nan"),
        ("max_new_tokens", "1000000"),
    ):
        with pytest.raises(ParamsError, match=name):
            read_link({"task": "poetry", "text": "雪", name: value}, sampling)
    with pytest.raises(ParamsError, match="task: 'essay': allowed are poetry"):
        read_link({"task": "essay", "text": "雪"}, sampling)
    with pytest.raises(ParamsError, match=r"seed: '1\.5': expected a number"):
        read_link({"task": "poetry", "text": "雪", "seed": "1.5"}, sampling)


def test_a_pattern_is_shown_as_it_is_filled() -> None:
    tune = tunes()["浣溪沙"]
    html = poem_html("雪落千", tune, {1}, is_open=True)
    assert '<ruby class="oblique forced">落<rt>仄</rt></ruby>' in html
    assert html.count('class="open"') == 42 - 3
    assert '<ruby class="open">□<rt>平</rt></ruby><ruby class="open">□<rt>仄</rt></ruby>' in html
    assert html.count("<br>") == 1
    begun = poem_html("", couplets(4, 5), is_open=True)
    assert begun.count('<ruby class="open">□<rt></rt></ruby>') == 20
    whole = poem_html("白日依山尽，黄河入海流。", couplets(2, 5), is_open=True)
    assert "open" not in whole


@pytest.mark.parametrize("html", [text_html, poem_html])
def test_a_character_that_browsers_drop_has_its_place(html: Callable[[str], str]) -> None:
    assert "\N{REPLACEMENT CHARACTER}" in html("空山新雨后，天气\0来秋。")
    assert "\0" not in html("空山新雨后，天气\0来秋。")


def test_a_poem_is_marked_by_tone_rhyme_and_fault() -> None:
    html = poem_html("空山新雨后，天气晚来秋。\n明月松间照，清泉石上<b>。")
    assert (
        '<ruby class="either">空<rt>中</rt></ruby><ruby class="level">山<rt>平</rt></ruby>' in html
    )
    assert '<ruby class="oblique">雨<rt>仄</rt></ruby>' in html
    assert '秋<rt>平</rt></ruby>。<br><ruby class="level">明' in html
    assert '<span class="fault">&lt;</span>' in html
    whole = poem_html("空山新雨后，天气晚来秋。\n明月松间照，清泉石上流。")
    assert '<ruby class="level rhyme">流<rt>平</rt></ruby>。' in whole
    assert "fault" not in whole
    seventh = facts("孤舟泊岸边，夜雨满江天。此去三千里，归来又一年。", "stop", 1, "poetry")
    assert "rhyme 下平一先 " in seventh
    with in_language("zh"):
        told = facts("白云生远东，万里起秋风。日落江山远，孤舟夕照中。", "stop", 1, "poetry")
        assert "押上平一东 · " in told
        told = facts("空山新雨后，天气晚来秋。明月松间照，清泉石上流。", "stop", 1, "poetry")
    assert "押下平十一尤 · 不合律 0 处 · 随机种子 1" in told
