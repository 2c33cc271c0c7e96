"""Base and tuned write at the same time, as the page shows them, and can be stopped."""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Lock, Thread

from wenmo.core.language import Language, in_language
from wenmo.engines.engine import Completion
from wenmo.tools.writing.writer import MODELS, ModelName, TextRequest, Writer

INTERVAL = 0.08
"""Seconds between two updates: often enough to read along, seldom enough for the network."""


@dataclass
class ModelText:
    """One model's text so far; at its end also the completion, or the error that ended it."""

    text: str = ""
    completion: Completion | None = None
    error: Exception | None = None


def write_both(
    writer: Writer, request: TextRequest, stop: Event, language: Language
) -> Iterator[dict[ModelName, ModelText]]:
    """Both texts as they grow, and whole at last. Setting `stop`, or closing this, ends them early.

    Raises UserError, in that language, if a model cannot write.
    """
    texts: dict[ModelName, ModelText] = {model: ModelText() for model in MODELS}
    news = Event()

    def write(model: ModelName, shown: ModelText) -> None:
        def on_text(text: str) -> bool:
            shown.text = text
            news.set()
            return not stop.is_set()

        try:
            with in_language(language):
                shown.completion = writer.write(model, request, on_text)
            shown.text = shown.completion.text
        except Exception as error:  # raised below, in the thread that shows the texts
            shown.error = error
        finally:
            news.set()

    threads = [Thread(target=write, args=each, daemon=True) for each in texts.items()]
    for thread in threads:
        thread.start()
    try:
        while any(thread.is_alive() for thread in threads):
            news.wait(1)
            news.clear()
            yield texts
            time.sleep(INTERVAL)
        for shown in texts.values():
            if shown.error:
                raise shown.error
        yield texts
    finally:
        stop.set()


class StopEvents:
    """The events that stop texts, by browser session, so that a user stops only their own."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._events: defaultdict[str, set[Event]] = defaultdict(set)

    @contextmanager
    def registered(self, session: str) -> Iterator[Event]:
        """A new event of the session, set at the latest at the end."""
        stop = Event()
        with self._lock:
            self._events[session].add(stop)
        try:
            yield stop
        finally:
            stop.set()
            with self._lock:
                self._events[session].discard(stop)
                if not self._events[session]:
                    del self._events[session]

    def stop(self, session: str) -> None:
        """End all texts of a session at their next token."""
        with self._lock:
            for stop in self._events.get(session, ()):
                stop.set()
