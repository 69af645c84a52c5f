"""Server-sent events: the plane's acts for programs, and "something changed" for pages.

Owns bounded queues, a comment every fifteen seconds, a cap on a stream's life and on the number of streams, and resuming after a number. Never
sends what the asker may not see: topics are checked before the stream begins, and each piece of news before it goes out.
"""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from penstock.apiv1.common import to_json
from penstock.server.actions import devices, events, news
from penstock.server.api import present
from penstock.server.core.errors import Invalid, Refused, Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

    from penstock.server.actions.context import Plane
    from penstock.server.api.frame import Call
    from penstock.server.core.model import Actor

PING_S = 15.0
LIFE_S = 15 * 60.0
MOST = 512
BATCH = 100

_open: set[object] = set()


def count() -> int:
    """How many streams are open."""
    return len(_open)


def _admit() -> None:
    if len(_open) >= MOST:
        raise Unavailable("too-many-streams", f"{MOST} live streams are open already", remedy="close pages nobody looks at", retry_s=30)


def _message(event: str, data: str, number: int = 0) -> bytes:
    head = f"id: {number}\n" if number else ""
    return f"{head}event: {event}\ndata: {data}\n\n".encode()


def check_topics(plane: Plane, actor: Actor, topics: list[str]) -> frozenset[str]:
    """The topics, if the asker may listen to all of them. Raises Invalid, Forbidden, Missing."""
    if not 1 <= len(topics) <= 8:
        raise Invalid("topics", "a page listens to one to eight topics", field="topic")
    for topic in topics:
        if topic.partition("/")[0] not in news.TOPICS or len(topic) > 80:
            raise Invalid("topic-unknown", f"there is no topic {topic[:60]!r}", field="topic")
        news.listen(plane, actor, topic)
    return frozenset(topics)


async def _pump(
    plane: Plane,
    topics: frozenset[str],
    each: Callable[[Any], AsyncIterator[bytes]],
    idle: Callable[[], Awaitable[None]],
    left: asyncio.Future[None] | None = None,
) -> AsyncGenerator[bytes]:
    """One stream's life: `each` turns a note (None at the start) into messages, `idle` is awaited at every ping. It ends when `left` is done."""
    ticket, rights = object(), plane.rights_epoch
    _open.add(ticket)
    subscription = plane.live.subscribe(topics)
    notes = subscription.__aiter__()
    pending: asyncio.Future[Any] | None = None
    try:
        ends = time.monotonic() + LIFE_S
        yield b"retry: 3000\n\n"
        await idle()
        async for message in each(None):
            yield message
        while (over := ends - time.monotonic()) > 0:
            pending = pending or asyncio.ensure_future(notes.__anext__())
            done, _ = await asyncio.wait({pending} if left is None else {pending, left}, timeout=min(PING_S, over), return_when=asyncio.FIRST_COMPLETED)
            if left is not None and left.done():
                return
            if plane.rights_epoch != rights:
                break  # people or rights changed: whoever listens comes again and is asked anew who they are
            if not done:
                yield b": still here\n\n"
                await idle()
                continue
            try:
                note = pending.result()
            except StopAsyncIteration:
                break
            finally:
                pending = None
            async for message in each(note):
                yield message
        yield _message("bye", "{}")
    finally:
        for waiting in (pending, left):
            if waiting is not None:
                waiting.cancel()
        subscription.close()
        _open.discard(ticket)


def changes(plane: Plane, actor: Actor, topics: frozenset[str], left: asyncio.Future[None] | None = None) -> AsyncGenerator[bytes]:
    """A stream for a page: "changed" whenever something under one of `topics` did, until `left` is done. A device's page keeps the device watched, so
    that it answers within a second."""
    try:
        _admit()
    except Refused:
        if left is not None:
            left.cancel()
        raise
    watched = [topic.partition("/")[2] for topic in topics if topic.startswith("device/")]

    async def idle() -> None:
        for device in watched:
            with suppress(Refused):  # retired meanwhile: the page will say so itself
                await asyncio.to_thread(devices.watch, plane, actor, device=device)

    async def each(note: Any) -> AsyncIterator[bytes]:
        if note is not None and await asyncio.to_thread(news.concerns, plane, actor, note):
            yield _message("changed", json.dumps({"topic": note.topic, "key": note.key}), note.event_number)

    return _pump(plane, topics, each, idle, left)


def changed(call: Call) -> AsyncIterator[bytes]:
    """A stream for programs: "changed" whenever something under one of the topics did; what it is now is asked for anew."""
    return changes(call.plane, call.actor, check_topics(call.plane, call.actor, call.query.topics.split(",")))


def acts(call: Call) -> AsyncIterator[bytes]:
    """A stream for programs: every act on the plane from a number on, in order, none left out."""
    _admit()
    last = int(call.last_event) if call.last_event.isdigit() else call.query.after

    def since(after: int) -> tuple[tuple[int, bytes], ...]:
        if after < 0:
            found = events.latest_events(call.plane, call.actor, limit=1).items
            return ((found[0].number, b""),) if found else ((0, b""),)
        acts_ = events.list_events(call.plane, call.actor, after=after, limit=BATCH)
        return tuple((item.number, to_json(present.history(item))) for item in acts_)

    async def idle() -> None:
        return None

    async def each(_note: Any) -> AsyncIterator[bytes]:
        nonlocal last
        while batch := await asyncio.to_thread(since, last):
            for number, data in batch:
                last = number
                # where the stream begins is said too: an asker cut off before the first act misses none
                yield _message("act", data.decode(), number) if data else f"id: {number}\n\n".encode()
            if not data:
                break

    return _pump(call.plane, frozenset(("events",)), each, idle)
