"""Connections that send or read too slowly are closed; uvicorn has no limit for either."""

from asyncio import TimerHandle, Transport
from typing import ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_SECONDS = 10
"""Longest time from a request's first byte, or from connecting, to its last byte."""

STALL_SECONDS = 20
"""Longest time for which a client may read nothing of an answer that waits for it."""

MAX_WAITING = 128
"""Connections without a whole request; one more closes the one that has waited longest."""


class BoundedConnection(H11Protocol):
    """Uvicorn's connection, with limits."""

    _waiting: ClassVar[dict["BoundedConnection", None]] = {}
    _deadline: TimerHandle | None = None
    _stalled: TimerHandle | None = None
    _has_begun: bool = False

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """A client has connected."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """A part of a request; the time runs anew from the first one."""
        if not self._has_begun:
            self._has_begun = True
            if self._deadline:
                self._wait()
        super().data_received(data)
        if self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self._end_wait()

    def on_response_complete(self) -> None:
        """The client may send its next request, or still sends this one."""
        super().on_response_complete()
        if not self._deadline and not self.transport.is_closing():
            self._has_begun = False
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended."""
        super().connection_lost(exc)
        self._end_wait()
        self.resume_writing()

    def pause_writing(self) -> None:
        """The client reads more slowly than the answer grows."""
        super().pause_writing()
        self._stalled = self.loop.call_later(STALL_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """The client has read on."""
        super().resume_writing()
        if self._stalled:
            self._stalled.cancel()
            self._stalled = None

    def send_400_response(self, msg: str) -> None:
        """Tell that a request is no HTTP, or close if the answer to an earlier one has begun."""
        if self.cycle and not self.cycle.response_complete:
            # This is the answer; what the application may still send is no other one.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:
            self.transport.close()

    def _should_upgrade(self) -> bool:
        """The page has no WebSocket: such a request is answered as any other."""
        return False

    def _wait(self) -> None:
        self._end_wait()
        self._deadline = self.loop.call_later(REQUEST_SECONDS, self.transport.abort)
        self._waiting[self] = None
        if len(self._waiting) > MAX_WAITING:
            oldest = next(iter(self._waiting))
            oldest._end_wait()
            oldest.transport.abort()

    def _end_wait(self) -> None:
        self._waiting.pop(self, None)
        if self._deadline:
            self._deadline.cancel()
            self._deadline = None
