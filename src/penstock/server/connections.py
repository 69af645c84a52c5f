"""Connections of the HTTP server: answers leave in one piece, and nobody keeps one open for nothing.

Owns what uvicorn's connection lacks for thousands of small requests a second: the head and the body of an answer become one record of TLS instead of
two, and time limits are looked at once in a while for all connections instead of by a timer for every request. A request must arrive at a pace (a
connection that dribbles is ended), a connection without one ends after the time uvicorn is told. Never looks into a request.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

LOOK_S = 5  # between two looks at all connections
ARRIVE_S = 30  # a request may take so long to arrive,
PACE = 256  # and a second longer for so many bytes of its body: the slowest links there are
PIECE = 64 * 1024  # what is written at once; more does not wait for company


class Outgoing:
    """A transport whose writes of one turn of the event loop leave together. The rest is the transport's own."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._held: list[bytes] = []
        self._size = 0
        self.is_closing = transport.is_closing
        self.get_extra_info = transport.get_extra_info
        self.pause_reading = transport.pause_reading
        self.resume_reading = transport.resume_reading

    def write(self, data: bytes) -> None:
        """Send `data`, in order, at the end of this turn at the latest."""
        if not data:
            return
        if not self._held:
            self._loop.call_soon(self._flush)
        self._held.append(data)
        self._size += len(data)
        if self._size >= PIECE:
            self._flush()

    def close(self) -> None:
        """Close once all is sent."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        held = self._held
        if held:
            self._held, self._size = [], 0
            if not self.is_closing():
                self._transport.write(held[0] if len(held) == 1 else b"".join(held))


class Connection(HttpToolsProtocol):
    """uvicorn's connection; `look` at it now and then."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._since = self.loop.time()  # when the request began to arrive, or the last answer was sent
        self._arriving = True  # what has sent nothing yet owes a request
        self._arrived = 0  # bytes of its body

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """It is open."""
        super().connection_made(Outgoing(transport, self.loop))  # type: ignore[arg-type]

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        super().on_message_begin()
        self._since, self._arriving, self._arrived = self.loop.time(), True, 0

    def on_body(self, body: bytes) -> None:
        """A piece of its body."""
        self._arrived += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The whole request is there."""
        self._arriving = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """An answer has been given: uvicorn's own, without a timer for the connection's end."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif not self._arriving:
            self._since = self.loop.time()

    def look(self, now: float) -> None:
        """End the connection if its request does not arrive, or none has come for long. `now` is the event loop's time in seconds."""
        if self.transport.is_closing():
            return
        waited = now - self._since
        if self._arriving:
            if self.flow.read_paused:  # it is we who do not take more
                self._since = now
            elif waited > ARRIVE_S + self._arrived / PACE:
                self._too_slow()
        elif self._answered() and waited > self.timeout_keep_alive:
            self.transport.close()

    def _answered(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle  # none before the first request, whatever uvicorn's annotation says
        return cycle is None or cycle.response_complete

    def _too_slow(self) -> None:
        if self._answered() or not self.cycle.response_started:
            self.transport.write(b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
        self.transport.close()
