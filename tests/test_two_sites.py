"""The page of `wenmo web` behind a proxy with TLS, and another site, in one real browser."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext, Playwright, expect, sync_playwright

from tests.small_demo import served, small_repository
from tests.streaming_server import StreamingServer
from tests.test_web import TIMEOUT, ask, whole_texts
from tests.tls_proxy import CONTROL, TlsProxy
from wenmo.config.params_file import TASKS

pytestmark = pytest.mark.full

THIRD_PARTY = ("third-party cookies", "no third-party cookies")
PAGE, OTHER = "wenmo.example", "evil.example"
TEXT = "一篙春水绿，\n两岸杏花齐。"

# What a page can try against another site; every result is what it got to see.
ATTACK = """async (page) => {
  const body = JSON.stringify({data: [], fn_index: 0, session_hash: "x", trigger_id: null});
  const form = new FormData();
  form.append("username", "me");
  form.append("password", "correct horse");
  const seen = {};
  const asked = {
    config: ["/config", {}],
    opaque: ["/config", {mode: "no-cors"}],
    call: ["/gradio_api/run/predict", {method: "POST", body,
      headers: {"content-type": "application/json"}}],
    plain: ["/gradio_api/run/predict", {method: "POST", body, mode: "no-cors"}],
    join: ["/gradio_api/queue/join", {method: "POST", body, mode: "no-cors"}],
    cancel: ["/gradio_api/cancel", {method: "POST", body, mode: "no-cors"}],
    login: ["/login", {method: "POST", body: form, mode: "no-cors"}],
    logout: ["/logout", {mode: "no-cors"}],
    hidden: ["/gradio_api/heartbeat/y", {mode: "no-cors", referrerPolicy: "no-referrer"}],
  };
  for (const [name, [path, options]] of Object.entries(asked)) {
    try {
      const answer = await fetch(page + path, {credentials: "include", ...options});
      seen[name] = await answer.text();
    } catch {
      seen[name] = "";
    }
  }
  const loaded = (element) => new Promise((resolve) => {
    element.onload = () => resolve("loaded");
    element.onerror = () => resolve("");
    document.body.append(element);
  });
  const add = (kind, address) => loaded(Object.assign(document.createElement(kind), address));
  seen.image = await add("img", {src: page + "/gradio_api/heartbeat/z"});
  seen.script = await add("script", {src: page + "/config"});
  const events = (make) => new Promise((resolve) => {
    const stream = make();
    stream.onopen = stream.onmessage = () => resolve("open");
    stream.onerror = () => resolve("");
  });
  seen.events = await events(() =>
    new EventSource(page + "/gradio_api/queue/data?session_hash=x", {withCredentials: true}));
  seen.socket = await events(() => new WebSocket(page.replace("http", "ws") + "/config"));
  return seen;
}"""


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    return small_repository(tmp_path_factory.mktemp("web") / "wenmo", tiny_model, TASKS)


@pytest.fixture(scope="module")
def proxy(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsProxy]:
    """The page with a password at https://wenmo.example, and any other name as another site."""
    with (
        StreamingServer() as server,
        served(
            repository,
            *("--port", "0", "--endpoint", server.url),
            *("--auth", "me:SECRET", "--allow-host", PAGE),
            SECRET="correct horse",
        ) as address,
        TlsProxy(PAGE, address, tmp_path_factory.mktemp("tls"), "<body></body>") as proxy,
    ):
        yield proxy


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(params=THIRD_PARTY)
def context(
    request: pytest.FixtureRequest, playwright: Playwright, tmp_path: Path
) -> Iterator[BrowserContext]:
    """A browser in which both names resolve to this machine, with its own profile."""
    chromium = shutil.which("chromium")
    if not chromium and not os.environ.get("WENMO_REQUIRE_CHROMIUM"):
        pytest.skip("Chromium is not installed: `apt-get install chromium`")
    settings = {"profile": {"cookie_controls_mode": int(request.param == THIRD_PARTY[1])}}
    preferences = tmp_path / "profile/Default/Preferences"
    preferences.parent.mkdir(parents=True)
    preferences.write_text(json.dumps(settings))
    context = playwright.chromium.launch_persistent_context(
        tmp_path / "profile",
        executable_path=chromium or "chromium",
        ignore_https_errors=True,
        locale="en-US",
        args=[
            *("--no-sandbox", f"--host-resolver-rules=MAP {PAGE} 127.0.0.1,MAP {OTHER} 127.0.0.1"),
        ],
    )
    yield context
    context.close()


def test_another_site_can_neither_read_nor_do_anything(
    proxy: TlsProxy, context: BrowserContext, request: pytest.FixtureRequest
) -> None:
    mine, other = f"https://{PAGE}:{proxy.port}", f"https://{OTHER}:{proxy.port}"
    page, hosts = context.new_page(), set[str | None]()
    page.on("request", lambda request: hosts.add(urlsplit(request.url).hostname))
    page.goto(mine)
    for password, tabs in (("wrong", 0), ("correct horse", 3)):
        page.get_by_label("username").fill("me")
        page.get_by_label("password").fill(password)
        page.get_by_role("button", name="Login").click()
        expect(page.get_by_role("tab")).to_have_count(tabs, timeout=TIMEOUT)
    page.get_by_role("tab", name="Poem").click(timeout=TIMEOUT)
    ask(page, "雪")
    assert whole_texts(page) == [TEXT, TEXT]
    [cookie] = [each for each in context.cookies() if each["name"] != CONTROL]
    assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"]) == (True, True, "Lax")

    foreign = context.new_page()
    foreign.goto(other)
    before = len(proxy.answered)
    seen = foreign.evaluate(ATTACK, mine)
    assert set(seen.values()) == {""}, seen
    asked = proxy.answered[before:]
    assert len(asked) >= len(seen)
    assert {status for *_, status in asked} == {403}
    cookies = {name for *_, names, _ in asked for name in names}
    sent = request.node.callspec.params["context"] == THIRD_PARTY[0]
    assert cookies == ({CONTROL} if sent else set())

    # In a frame there is nothing to click on.
    foreign.evaluate(
        "(page) => document.body.append(Object.assign(document.createElement('iframe'),"
        " {src: page}))",
        mine,
    )
    expect(foreign.frame_locator("iframe").get_by_role("tab")).to_have_count(0)

    # A form of the other site, and a link on it, which is allowed to open the page.
    foreign.evaluate(
        """(page) => {
          const form = document.createElement("form");
          Object.assign(form, {method: "post", action: page + "/login"});
          document.body.append(form);
          form.submit();
        }""",
        mine,
    )
    foreign.wait_for_url(f"{mine}/login")
    assert proxy.answered[-1][4] == 403
    foreign.goto(other)
    foreign.evaluate("(page) => { location.href = page; }", f"{mine}/?task=poetry")
    expect(foreign.get_by_role("tab")).to_have_count(3, timeout=TIMEOUT)

    # The user is still logged in and served.
    page.goto(mine)
    page.get_by_role("tab", name="Poem").click(timeout=TIMEOUT)
    ask(page, "雪")
    assert whole_texts(page) == [TEXT, TEXT]
    assert hosts - {None, ""} == {PAGE}

    # Another name of this machine, as after DNS rebinding, opens nothing.
    port = proxy.page_url.rpartition(":")[2]
    answer = foreign.goto(f"http://{OTHER}:{port}")
    assert answer
    assert answer.status == 403
    assert foreign.inner_text("body").strip() == (
        f"Host '{OTHER}:{port}' is not allowed; start the server with `--allow-host NAME` for each"
        " name that it has"
    )
