"""Honest clients of `wenmo web` beside clients that mean harm, at the same time."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from tests.page_client import PageClient

LONG_BODY = b" " * 5_000_000
TEXT_TOKENS = 2048


@dataclass
class Crowd:
    """Hostile clients, each a thread of its own that goes on until the `with` block ends.

    `silent` ones ask for texts and never read them: half never connect for the answer, half read
    nothing of it. `fickle` ones connect for it and leave at once. `heavy` ones send 5 MB.
    """

    url: str
    silent: int
    fickle: int
    heavy: int
    statuses: list[int] = field(default_factory=list)

    @contextmanager
    def around(self) -> Iterator[None]:
        """They are there while the block runs."""
        client = PageClient(self.url)
        self._function, self._end = client.writing(), threading.Event()
        kinds: list[tuple[Callable[[PageClient, str], None], int]] = [
            (self._be_silent, self.silent),
            (self._be_fickle, self.fickle),
            (self._be_heavy, self.heavy),
        ]
        each_kind = [kind for kind, count in kinds for _ in range(count)]
        threads = [
            threading.Thread(target=self._go_on, args=(kind, number))
            for number, kind in enumerate(each_kind)
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._end.set()
            for thread in threads:
                thread.join()

    def _go_on(self, kind: Callable[[PageClient, str], None], number: int) -> None:
        """Each has an address of its own, so that no bound per client ends it."""
        name, turn = f"{kind.__name__}{number}", 0
        while not self._end.wait(0.1):
            turn += 1
            with suppress(OSError):  # the page may hang up
                kind(PageClient(self.url, f"127.0.7.{number}"), f"{name}-{turn}".strip("_"))

    def _join(self, client: PageClient, session: str) -> None:
        joined = client.join(session, self._function, tokens=TEXT_TOKENS)
        self.statuses.append(joined.status)

    def _be_silent(self, client: PageClient, session: str) -> None:
        self._join(client, session)
        if session.endswith(tuple("13579")):
            with client.stream(f"queue/data?session_hash={session}"):
                self._end.wait(15)

    def _be_fickle(self, client: PageClient, session: str) -> None:
        self._join(client, session)
        with client.stream(f"queue/data?session_hash={session}") as stream:
            stream.recv(1)

    def _be_heavy(self, client: PageClient, session: str) -> None:
        sent = client.request("POST", "/gradio_api/queue/join", LONG_BODY)
        self.statuses.append(sent.status)


def answered(
    url: str, users: int, requests: int, on_answer: Callable[[], None] = lambda: None
) -> set[str]:
    """All texts that `users` honest clients, each at its own address, got for `requests` in all."""
    function, answers = PageClient(url).writing(), set[str]()

    def ask(number: int) -> None:
        client = PageClient(url, f"127.0.6.{number % users}")
        answers.update(client.texts(f"honest{number}", function))
        on_answer()

    with ThreadPoolExecutor(users) as threads:
        list(threads.map(ask, range(requests)))
    return answers
