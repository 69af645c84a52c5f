"""News inside this process: who changed what, to whoever is looking (pages by SSE, devices in a long poll).

Owns topics, bounded subscriptions and the crossing from worker threads into the event loop. It carries no state: a subscriber that falls
behind is told to read anew ("resync"). Nothing here survives a restart, and nothing here has to.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

BOUND = 256
MAX_SUBSCRIPTIONS = 2000


@dataclass(frozen=True, slots=True)
class Note:
    """`topic` as subscribed, `key` the id of what changed, `event_number` the newest event when it was published."""

    topic: str
    key: str
    event_number: int = 0


class Full(RuntimeError):
    """Too many are looking already."""


class Subscription:
    """News of some topics, in order. Iterate it; `close` it in the end."""

    def __init__(self, live: Live, topics: frozenset[str]) -> None:
        self.topics = topics
        self._live = live
        self._queue: asyncio.Queue[Note | None] = asyncio.Queue(BOUND)
        self._behind = False

    def offer(self, note: Note) -> None:
        """Take a note (in the event loop); a full queue is emptied and says "resync" instead."""
        if note.topic not in self.topics:
            return
        try:
            self._queue.put_nowait(note)
        except asyncio.QueueFull:
            while not self._queue.empty():
                self._queue.get_nowait()
            self._queue.put_nowait(Note("resync", "", note.event_number))

    async def next(self, timeout_s: float) -> Note | None:
        """The next note, or None after `timeout_s` seconds (send a ping then) or when closed."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                return await self._queue.get()
        return None

    async def __aiter__(self) -> AsyncIterator[Note]:
        while (note := await self._queue.get()) is not None:
            yield note

    def close(self) -> None:
        """No more news."""
        self._live.leave(self)
        with contextlib.suppress(asyncio.QueueFull):
            self._queue.put_nowait(None)


class Live:
    """The hub. `start` it in the event loop; before that, and after `stop`, publishing does nothing."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._subscriptions: set[Subscription] = set()

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Deliver in this loop from now on."""
        self._loop = loop

    def stop(self) -> None:
        """Close all subscriptions."""
        for subscription in tuple(self._subscriptions):
            subscription.close()
        self._loop = None

    def subscribe(self, topics: frozenset[str]) -> Subscription:
        """News of these topics from now on. Raises Full."""
        if len(self._subscriptions) >= MAX_SUBSCRIPTIONS:
            raise Full(f"{MAX_SUBSCRIPTIONS} pages are already being kept up to date")
        subscription = Subscription(self, topics)
        self._subscriptions.add(subscription)
        return subscription

    def leave(self, subscription: Subscription) -> None:
        """Forget a subscription."""
        self._subscriptions.discard(subscription)

    def publish(self, notes: list[Note]) -> None:
        """Tell everybody concerned; from any thread."""
        loop = self._loop
        if loop is None or not notes or not self._subscriptions or loop.is_closed():
            return
        loop.call_soon_threadsafe(self._deliver, notes)

    def _deliver(self, notes: list[Note]) -> None:
        for subscription in tuple(self._subscriptions):
            for note in notes:
                subscription.offer(note)
