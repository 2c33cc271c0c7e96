"""Base and tuned writing at once, as a page shows them, and stopping them."""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Lock, Thread

from wenmo.engines.engine import Completion
from wenmo.tools.writing.writer import MODELS, Asked, ModelName, Writer

PACE = 0.08
"""Seconds between two looks at the texts: smooth to read, and little to send."""


@dataclass
class Side:
    """One model's text: so far, and when it has ended the whole one or why there is none."""

    text: str = ""
    whole: Completion | None = None
    error: Exception | None = None


def write_together(writer: Writer, asked: Asked, stop: Event) -> Iterator[dict[ModelName, Side]]:
    """Both texts as they grow, at last whole. Setting `stop`, or closing this, ends them early.

    Raises UserError where a model cannot write.
    """
    sides: dict[ModelName, Side] = {model: Side() for model in MODELS}
    news = Event()

    def write(model: ModelName, side: Side) -> None:
        def hear(text: str) -> bool:
            side.text = text
            news.set()
            return not stop.is_set()

        try:
            side.whole = writer.write(model, asked, hear)
            side.text = side.whole.text
        except Exception as error:  # told in the thread that shows the texts
            side.error = error
        finally:
            news.set()

    threads = [Thread(target=write, args=each, daemon=True) for each in sides.items()]
    for thread in threads:
        thread.start()
    try:
        while any(thread.is_alive() for thread in threads):
            news.wait(1)
            news.clear()
            yield sides
            time.sleep(PACE)
        for side in sides.values():
            if side.error:
                raise side.error
        yield sides
    finally:
        stop.set()


class Runs:
    """What is being written, by the session that asked for it: nobody stops another's text."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._stops: defaultdict[str, set[Event]] = defaultdict(set)

    @contextmanager
    def run(self, session: str) -> Iterator[Event]:
        """The event that stops what is written meanwhile."""
        stop = Event()
        with self._lock:
            self._stops[session].add(stop)
        try:
            yield stop
        finally:
            stop.set()
            with self._lock:
                self._stops[session].discard(stop)
                if not self._stops[session]:
                    del self._stops[session]

    def stop(self, session: str) -> None:
        """Have everything of a session end at its next token."""
        with self._lock:
            for stop in self._stops.get(session, ()):
                stop.set()
