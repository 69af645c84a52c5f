"""What the hot path must know of every device, in memory: the port behind which polls are answered without a disk.

Owns one small entry per device and the waking of long polls. It is filled from the store at start and refreshed after every commit that
concerns a device; a second process would need those refreshes sent to it, which is why everything goes through `refresh`. Never decides.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

MAX_WAITING = 4000  # long polls at one time


class Entry:
    """One device. `etag` without the root's part; `session`: the newest token it was given since this process began; `pending`: something is ordered and not settled; `seen_ms`: when it was last heard."""

    __slots__ = (
        "asked_ms",
        "credit",
        "etag",
        "heard",
        "id",
        "key_epoch",
        "name",
        "pending",
        "seen_ms",
        "session",
        "site",
        "state",
        "tag",
        "waiters",
        "watched_ms",
        "why",
    )

    def __init__(self, device: str) -> None:
        self.id = device
        self.name = ""
        self.site = ""
        self.state = ""
        self.why = ""
        self.key_epoch = 0
        self.session = b""
        self.etag = ""
        self.tag = b""
        self.pending = False
        self.seen_ms = 0
        self.heard = False
        self.watched_ms = 0
        self.credit = 0.0  # requests it may still make at once, as of `asked_ms` (monotonic)
        self.asked_ms = -(10**9)
        self.waiters: list[asyncio.Future[None]] = []


class FleetCache:
    """All entries. Reads are from the event loop; `refresh` from any thread."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.root_version = 1
        self.waiting = 0
        self.most_waiting = MAX_WAITING
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Wake long polls in this loop from now on."""
        self._loop = loop

    def set_root(self, version: int) -> None:
        """A new root document: every tag changes."""
        self.root_version = version
        for entry in self.entries.values():
            entry.tag = self._tag(entry.etag)
        self._wake(list(self.entries.values()))

    def _tag(self, etag: str) -> bytes:
        return f'"{self.root_version}.{etag}"'.encode("ascii")

    def refresh(self, known: Iterable[tuple[str, str, str, str, str, int, str, bool, int]]) -> None:
        """Take over (id, name, site, state, why, key epoch, etag, pending, seen) as the store now has them, and wake who waits for it."""
        woken = []
        for device, name, site, state, why, key_epoch, etag, pending, seen_ms in known:
            entry = self.entries.get(device)
            if entry is None:
                entry = self.entries[device] = Entry(device)
            changed = (entry.etag, entry.state, entry.key_epoch) != (etag, state, key_epoch)
            entry.name, entry.site, entry.state, entry.why = name, site, state, why
            entry.key_epoch, entry.pending = key_epoch, pending
            entry.etag, entry.tag = etag, self._tag(etag)
            entry.seen_ms = max(entry.seen_ms, seen_ms)
            if changed:
                woken.append(entry)
        self._wake(woken)

    def retag(self, changed: Iterable[tuple[str, str, bool]]) -> None:
        """Take over (id, etag, pending) of devices already known, and wake who waits for them."""
        woken = []
        for device, etag, pending in changed:
            entry = self.entries.get(device)
            if entry is not None:
                entry.pending = pending
                if entry.etag != etag:
                    entry.etag, entry.tag = etag, self._tag(etag)
                    woken.append(entry)
        self._wake(woken)

    def watch(self, device: str, until_ms: int) -> None:
        """Somebody looks at this device until then (monotonic milliseconds): give it long polls."""
        entry = self.entries.get(device)
        if entry is not None:
            entry.watched_ms = max(entry.watched_ms, until_ms)

    def _wake(self, entries: list[Entry]) -> None:
        loop = self._loop
        if loop is None or loop.is_closed() or not entries:
            return
        loop.call_soon_threadsafe(_release, entries)

    def heard(self) -> list[tuple[str, int]]:
        """(device, unix ms) of all that were heard since this was last asked."""
        found = []
        for entry in tuple(self.entries.values()):
            if entry.heard:
                entry.heard = False
                found.append((entry.id, entry.seen_ms))
        return found


def _release(entries: list[Entry]) -> None:
    for entry in entries:
        waiters, entry.waiters = entry.waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
