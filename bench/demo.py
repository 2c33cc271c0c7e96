"""Seconds until `wenmo write` and `wenmo web` show their first text; the README's picture.

python -m bench.demo > bench/demo.md
python -m bench.demo --picture

The models are those in models/; `make repro` builds them. Time runs from the start of the
command until the terminal, or a browser that waits for the address, shows characters of a text.
"""

import io
import resource
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE, Popen
from urllib.parse import urlencode

from bench import machine
from bench.rounds import Measurement, contender_table, in_turn, quantity
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

RUNS = 5
PICTURE = Path("docs/images/web.png")
POEM = {"task": "poetry", "text": "赤膊汗流浓", "form": "五言绝句", "seed": "42"}
WENMO = [sys.executable, "-c", "from wenmo.tools.cli import app; app()"]


def measure_write() -> Measurement:
    """`wenmo write` until the first character."""
    before, started = processor_seconds(), time.monotonic()
    with Popen([*WENMO, "write", "--task", "poetry", POEM["text"]], stdout=PIPE) as process:
        process.stdout.read(1)
        seconds = time.monotonic() - started
        process.communicate()
    return {"seconds": seconds, "processor": processor_seconds() - before}


def measure_web(browser: Browser) -> Measurement:
    """`wenmo web` until the page of a link has text."""
    before, started = processor_seconds(), time.monotonic()
    with opened(browser) as page:
        page.locator(".facts:visible").first.wait_for(timeout=120_000)
        seconds = time.monotonic() - started
    return {"seconds": seconds, "processor": processor_seconds() - before}


def processor_seconds() -> float:
    """The processor time of all commands that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@contextmanager
def opened(browser: Browser, **options: object) -> Iterator[Page]:
    """The poem's page in a browser, served by `wenmo web`."""
    with Popen([*WENMO, "web", "--port", "0"], stdout=PIPE, text=True) as process:
        try:
            address = next(line.strip() for line in process.stdout if line.startswith("http://"))
            with browser.new_page(**options) as page:
                page.goto(f"{address}/?{urlencode(POEM)}")
                yield page
        finally:
            process.terminate()


def take_picture(browser: Browser) -> None:
    """Write the poem's page as a picture, light and 1,200 pixels wide."""
    size = {"width": 1200, "height": 800}
    with opened(browser, viewport=size, color_scheme="light", locale="en-US") as page:
        page.locator(".facts.ended:visible").nth(1).wait_for(timeout=120_000)
        page.mouse.move(0, 0)
        shot = page.screenshot(full_page=True, animations="disabled")
    picture = Image.open(io.BytesIO(shot)).convert("RGB")
    picture.quantize(128, dither=Image.Dither.NONE).save(PICTURE, optimize=True)


def main() -> None:
    """Measure and print the table, or take the picture."""
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--picture", action="store_true", help=f"write {PICTURE} instead")
    wants_picture, described = parser.parse_args().picture, machine.describe()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        if wants_picture:
            take_picture(browser)
            return
        contenders = {"`wenmo write`": measure_write, "`wenmo web`": lambda: measure_web(browser)}
        runs = in_turn(contenders, RUNS, "first text")
    print("`python -m bench.demo > bench/demo.md`\n")
    print(f"{RUNS} runs each, with the default models, on {machine.in_words(described)}\n")
    columns = {
        "seconds until the first characters": lambda own: quantity(own).shown(),
        "processor seconds": lambda own: quantity(own, "processor").shown(),
    }
    print(contender_table(runs, columns))


if __name__ == "__main__":
    main()
