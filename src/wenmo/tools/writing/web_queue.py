"""The page's queue: places are shared by clients, and texts that nobody reads are dropped.

Gradio's queue answers in the order of arrival, whether or not a browser reads the answers, and has
no setting for either. The classes below belong to the Gradio version that pyproject.toml pins.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import fastapi
from gradio.blocks import Blocks
from gradio.data_classes import PredictBodyInternal
from gradio.queueing import Event, Queue
from gradio.utils import run_coro_in_background

from wenmo.core.language import gettext, in_language, language_of
from wenmo.tools.writing.web_clients import client_of

UNREAD_SECONDS = 30
"""Longest time for which messages are kept that no browser fetches."""

MAX_OF_CLIENT = 64
"""Texts of one client that may wait or be written at a time; one more is refused. Each user of the
page asks for two, and users behind one address are one client."""

MAX_WAITING = 64
"""Texts that may wait; one more takes the place of one of the client that has the most."""

MAX_UNREAD = 500
"""Texts of all clients that no browser has begun to read."""

PLACES_LEFT = 2
"""Places to write that one client alone cannot take."""

INTERVAL = 0.02
"""Seconds between two looks for a text to begin; Gradio's 0.001 keeps a processor busy."""


class Mailbox(asyncio.Queue[Any]):
    """The messages to a browser, which knows whether they are fetched."""

    def __init__(self, on_read: Callable[[], None]) -> None:
        super().__init__()
        self.on_read = on_read
        self.readers = 0
        self.last_read = time.monotonic()

    async def get(self) -> Any:
        """The next message, for which the connection to the browser waits."""
        self.readers += 1
        self.on_read()
        try:
            return await super().get()
        finally:
            self.readers -= 1
            self.last_read = time.monotonic()

    def unread_for(self) -> float:
        """Seconds since a browser fetched messages."""
        return 0 if self.readers else time.monotonic() - self.last_read


class _Mailboxes(dict[str, Any]):
    """By browser; Gradio's own drops the oldest of 2,000, and stops if a text's is missing."""

    def __delitem__(self, session: str) -> None:
        """Each of two connections of one browser deletes it when it ends."""
        self.pop(session, None)


class _EventIds(dict[str, set[str]]):
    """By browser; a connection still looks after the browser has been dropped."""

    def __missing__(self, session: str) -> set[str]:
        return set()


class SharedQueue(Queue):
    """Gradio's queue, in which nobody can hold the places of others."""

    def __init__(self, blocks: Blocks, places: int) -> None:
        """`places` are the texts of one kind that are written at a time."""
        super().__init__(
            live_updates=True,
            concurrency_count=blocks.max_threads,
            update_intervals=1,
            max_size=None,
            blocks=blocks,
            default_concurrency_limit=places,
        )
        self.pending_messages_per_session = _Mailboxes()  # type: ignore[assignment]
        self.pending_event_ids_session = _EventIds()
        self._unread: list[Event] = []
        """Texts that no browser has begun to read, oldest first; the queue has the others."""

    def start(self) -> None:
        """Begin to answer."""
        self.ANALYTICS_MAX_EVENTS = 1
        self.sleep_when_free = INTERVAL
        super().start()  # type: ignore[no-untyped-call]
        run_coro_in_background(self._drop_unread_ones)

    async def push(
        self, body: PredictBodyInternal, request: fastapi.Request, username: str | None
    ) -> Any:
        """Take a text in, or refuse it as Gradio's `push` does.

        It joins the queue once a browser reads its messages. Until then a later text may take its
        place: of the same client, or of anybody if the client has more of them than others.
        """
        with in_language(language_of(request.headers.get("accept-language", ""))):
            many = gettext("You have {count} texts in the queue already.", count=MAX_OF_CLIENT)
            full = gettext("The queue is full.")
        client, session = client_of(request.scope), body.session_hash or ""
        mine = _of_clients([*self._unread, *self._waiting(), *self._writing()])[client]
        if mine >= MAX_OF_CLIENT and not await self._drop_unread(client):
            return False, many, "queue_full"
        if len(self) >= MAX_WAITING and not await self._drop_waiting(client):
            return False, full, "queue_full"
        if len(self._unread) >= MAX_UNREAD:
            await self._drop_unread(_of_clients(self._unread).most_common(1)[0][0])
        mailbox = self.pending_messages_per_session.get(session)
        if mailbox is None:
            mailbox = Mailbox(partial(self._let_in, session))
            self.pending_messages_per_session[session] = mailbox
        answer = await super().push(body, request, username)
        event = self.event_ids_to_events.get(str(answer[1]))
        if event and not mailbox.readers:
            mailbox.last_read = time.monotonic()
            self.event_queue_per_concurrency_id[event.concurrency_id].queue.remove(event)
            self._unread.append(event)
        return answer

    async def remove_from_queue(self, event_id: str) -> None:
        """Take a cancelled text out."""
        self._end_unread(lambda event: event._id == event_id)
        await super().remove_from_queue(event_id)

    async def clean_events(
        self, *, session_hash: str | None = None, event_id: str | None = None
    ) -> None:
        """End the texts of a browser that has left."""
        self._end_unread(lambda event: event.session_hash == session_hash)
        await super().clean_events(session_hash=session_hash, event_id=event_id)
        self.pending_event_ids_session.pop(session_hash or "", None)

    def get_events(self) -> tuple[list[Event], bool, str] | None:
        """The next text to write: of the client, then of the browser, that has the fewest."""
        writing = self._writing()
        of_clients = _of_clients(writing)
        of_sessions = Counter(event.session_hash for event in writing)
        for name, waiting in self.event_queue_per_concurrency_id.items():
            limit = waiting.concurrency_limit or self.max_thread_count
            if waiting.current_concurrency >= limit:
                continue
            allowed = [
                event for event in waiting.queue if of_clients[_client(event)] < limit - PLACES_LEFT
            ]
            if allowed:
                chosen = min(
                    allowed,
                    key=lambda event: (of_clients[_client(event)], of_sessions[event.session_hash]),
                )
                waiting.queue.remove(chosen)
                return [chosen], False, name
        return None

    def compute_analytics_summary(self, records: Any) -> Any:
        """Nothing: the page shows no statistics, which take longer with each text."""
        return self.cached_event_analytics_summary

    def _writing(self) -> list[Event]:
        return [event for job in self.active_jobs if job for event in job]

    def _waiting(self) -> list[Event]:
        queues = self.event_queue_per_concurrency_id.values()
        return [event for waiting in queues for event in waiting.queue]

    def _let_in(self, session: str) -> None:
        """Put a browser's texts into the queue."""
        for event in [each for each in self._unread if each.session_hash == session]:
            self._unread.remove(event)
            self.event_queue_per_concurrency_id[event.concurrency_id].queue.append(event)

    def _end_unread(self, is_ended: Callable[[Event], bool]) -> None:
        for event in [each for each in self._unread if is_ended(each)]:
            self._unread.remove(event)
            self.event_ids_to_events.pop(event._id, None)

    async def _drop_unread(self, client: str) -> bool:
        """Drop the client's oldest text that no browser has begun to read, if there is one."""
        for event in self._unread:
            if _client(event) == client:
                await self._drop(event.session_hash)
                return True
        return False

    async def _drop_waiting(self, client: str) -> bool:
        """Drop the latest text of the client with the most that wait, if this one has fewer."""
        of_clients = _of_clients(self._waiting())
        greediest, most = of_clients.most_common(1)[0]
        if most <= of_clients[client] + 1:
            return False
        *_, latest = (event for event in self._waiting() if _client(event) == greediest)
        await self._drop(latest.session_hash)
        return True

    async def _drop(self, session: str) -> None:
        """End all texts of a browser; it is told when it reads."""
        await self.clean_events(session_hash=session)
        mailbox = self.pending_messages_per_session.pop(session, None)
        if mailbox:
            mailbox.put_nowait(None)  # a connection that waits looks again, and finds no mailbox

    async def _drop_unread_ones(self) -> None:
        while not self.stopped:
            await asyncio.sleep(1)
            for session, mailbox in list(self.pending_messages_per_session.items()):
                if mailbox.unread_for() > UNREAD_SECONDS:
                    await self._drop(session)


def _client(event: Event) -> str:
    return client_of(event.request.scope)


def _of_clients(events: Iterable[Event]) -> Counter[str]:
    """How many of the texts each client has."""
    return Counter(map(_client, events))
