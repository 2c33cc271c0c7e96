"""The page's queue: places are shared by clients, and texts that nobody reads are dropped.

Gradio's queue answers in the order of arrival, whether or not a browser reads the answers, and has
no setting for either. The classes below belong to the Gradio version that pyproject.toml pins.
"""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from functools import partial
from typing import Any

import fastapi
from gradio.data_classes import PredictBodyInternal
from gradio.queueing import Event, Queue
from gradio.utils import LRUCache, run_coro_in_background

from wenmo.tools.writing.web_clients import client_of

UNREAD_SECONDS = 10
"""Longest time for which a text may have messages that no browser fetches."""

MAX_OF_CLIENT = 32
"""Texts of one client that may wait or be written at a time; one more is refused."""

MAX_UNREAD = 500
"""Texts of all clients that no browser has begun to read."""

PLACES_LEFT = 2
"""Places to write that one client alone cannot take."""

INTERVAL = 0.02
"""Seconds between two looks for a text to begin; Gradio's 0.001 keeps a processor busy."""

FORGET_SECONDS = 60
"""Time after which what is kept of a browser without texts is deleted."""


class Mailbox(asyncio.Queue[Any]):
    """The messages to a browser, which knows whether they are fetched."""

    def __init__(self, on_first_read: Callable[[], None]) -> None:
        super().__init__()
        self.on_first_read = on_first_read
        self.readers = 0
        self.last_read = time.monotonic()

    async def get(self) -> Any:
        """The next message, for which the connection to the browser waits."""
        self.readers += 1
        self.on_first_read()
        try:
            return await super().get()
        finally:
            self.readers -= 1
            self.last_read = time.monotonic()

    def unread_for(self) -> float:
        """Seconds since a browser fetched messages."""
        return 0 if self.readers else time.monotonic() - self.last_read


class _Mailboxes(LRUCache[str, Any]):
    """By browser; each of two connections of one browser deletes it when it ends."""

    def __delitem__(self, session: str) -> None:
        self.pop(session, None)


class SharedQueue(Queue):
    """Gradio's queue, in which nobody can hold the places of others."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.pending_messages_per_session = _Mailboxes(self.pending_messages_per_session.max_size)
        self.pending_event_ids_session = defaultdict(set)
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
        client, session = client_of(request.scope), body.session_hash or ""
        events = [*self._unread, *self._waiting(), *self._writing()]
        of_client = sum(client_of(event.request.scope) == client for event in events)
        if of_client >= MAX_OF_CLIENT and not await self._make_room(client):
            return False, f"You have {MAX_OF_CLIENT} texts in the queue already.", "queue_full"
        if len(self._unread) >= MAX_UNREAD:
            unread = Counter(client_of(event.request.scope) for event in self._unread)
            await self._make_room(unread.most_common(1)[0][0])
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
        self._unread = [event for event in self._unread if event._id != event_id]
        await super().remove_from_queue(event_id)

    async def clean_events(
        self, *, session_hash: str | None = None, event_id: str | None = None
    ) -> None:
        """End the texts of a browser that has left."""
        for event in [each for each in self._unread if each.session_hash == session_hash]:
            self._unread.remove(event)
            self.event_ids_to_events.pop(event._id, None)
        await super().clean_events(session_hash=session_hash, event_id=event_id)

    def get_events(self) -> tuple[list[Event], bool, str] | None:
        """The next text to write: of the client, then of the browser, that has the fewest."""
        writing = self._writing()
        of_clients = Counter(client_of(event.request.scope) for event in writing)
        of_sessions = Counter(event.session_hash for event in writing)
        for name, waiting in self.event_queue_per_concurrency_id.items():
            limit = waiting.concurrency_limit or self.max_thread_count
            if waiting.current_concurrency >= limit:
                continue
            allowed = [
                event
                for event in waiting.queue
                if of_clients[client_of(event.request.scope)] < limit - PLACES_LEFT
            ]
            if allowed:
                chosen = min(
                    allowed,
                    key=lambda event: (
                        of_clients[client_of(event.request.scope)],
                        of_sessions[event.session_hash],
                    ),
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

    async def _make_room(self, client: str) -> bool:
        """Drop the client's oldest text that no browser has begun to read, if there is one."""
        for event in self._unread:
            if client_of(event.request.scope) == client:
                await self._drop(event.session_hash)
                return True
        return False

    async def _drop(self, session: str) -> None:
        """End all texts of a browser and delete the messages to it."""
        await self.clean_events(session_hash=session)
        mailbox = self.pending_messages_per_session.get(session)
        while mailbox and not mailbox.empty():
            mailbox.get_nowait()

    def _forget(self, session: str) -> None:
        self.pending_messages_per_session.pop(session, None)
        self.pending_event_ids_session.pop(session, None)

    async def _drop_unread_ones(self) -> None:
        while not self.stopped:
            await asyncio.sleep(1)
            events = [*self._unread, *self._waiting(), *self._writing()]
            active = {event.session_hash for event in events}
            for session, mailbox in list(self.pending_messages_per_session.items()):
                unread = mailbox.unread_for()
                if session in active and unread > UNREAD_SECONDS:
                    await self._drop(session)
                elif session not in active and unread > FORGET_SECONDS:
                    self._forget(session)
            for session in self.pending_event_ids_session.keys() - active:
                if session not in self.pending_messages_per_session:
                    self.pending_event_ids_session.pop(session)
