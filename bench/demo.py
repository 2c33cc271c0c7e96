"""How soon the first text shows after `wenmo write` and `wenmo web` start; the README's picture.

python -m bench.demo > bench/demo.md
python -m bench.demo --picture

The models are those in models/; `make repro` builds the tiny ones. The page's time is from the
start of the command until a browser, which waits for the address, shows the beginning of a text.
"""

import io
import os
import resource
import statistics
import subprocess
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from wenmo.model.cost import hardware

RUNS = 5
PICTURE = Path("docs/images/web.png")
COLOURS = 128
SHOWN = {"task": "poetry", "text": "赤膊汗流浓", "form": "五言绝句", "seed": "42"}
WENMO = [sys.executable, "-c", "from wenmo.tools.cli import app; app()"]


def processor_seconds() -> float:
    """What all commands that have ended took of the processor."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def write_seconds() -> float:
    """Until the first character is there."""
    started = time.monotonic()
    command = [*WENMO, "write", "--task", "poetry", SHOWN["text"]]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        process.stdout.read(1)  # type: ignore[union-attr]
        seconds = time.monotonic() - started
        process.communicate()
    return seconds


@contextmanager
def served() -> Iterator[str]:
    """The page's address."""
    command = [*WENMO, "web", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            lines = process.stdout or ()
            yield next(line.strip() for line in lines if line.startswith("http://"))
        finally:
            process.terminate()


def web_seconds(browser: Browser) -> float:
    """Until a page that was called up by a link has text."""
    started = time.monotonic()
    with served() as address:
        page = browser.new_page()
        page.goto(f"{address}/?{urlencode(SHOWN)}")
        page.locator(".facts:visible").first.wait_for(timeout=120_000)
        seconds = time.monotonic() - started
        page.close()
    return seconds


def take_picture(browser: Browser) -> None:
    """The page of a link, light and 1,200 pixels wide."""
    page = browser.new_page(
        viewport={"width": 1200, "height": 800}, color_scheme="light", locale="en-US"
    )
    with served() as address:
        page.goto(f"{address}/?{urlencode(SHOWN)}")
        page.locator(".facts.ended:visible").nth(1).wait_for(timeout=120_000)
        page.mouse.move(0, 0)
        shot = page.screenshot(full_page=True, animations="disabled")
    picture = Image.open(io.BytesIO(shot)).convert("RGB")
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(PICTURE, optimize=True)


def main() -> None:
    """Measure and print the table, or take the picture."""
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--picture", action="store_true", help=f"write {PICTURE} instead")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        if parser.parse_args().picture:
            take_picture(browser)
            return
        loads = [os.getloadavg()[0]]
        taken, used = {}, {}
        for name, measure in (("write", write_seconds), ("web", lambda: web_seconds(browser))):
            before = processor_seconds()
            taken[name] = [measure() for _ in range(RUNS)]
            used[name] = (processor_seconds() - before) / RUNS
        loads.append(os.getloadavg()[0])
        browser.close()

    print("`python -m bench.demo > bench/demo.md`\n")
    print(
        f"From the start of the command to the first characters of a text: {RUNS} runs each, with\n"
        f"the tiny models. {hardware()}, {os.cpu_count()} cores, which so many programs wanted at"
        f" once, this one\nincluded: {min(loads):.1f} to {max(loads):.1f}. What the command takes"
        " of a processor, whole text included,\ndoes not depend on them.\n"
    )
    print("| | seconds, median | range | processor seconds |")
    print("|:--|--:|--:|--:|")
    for name, seconds in taken.items():
        median, span = statistics.median(seconds), f"{min(seconds):.1f} to {max(seconds):.1f}"
        print(f"| `wenmo {name}` | {median:.1f} | {span} | {used[name]:.1f} |")


if __name__ == "__main__":
    main()
