"""A backup of this control plane: who may have one, that it is on record, and that it counts.

Owns the way both have in common that ask for one, somebody over the API and whoever holds the data folder. What leaves by the API is always sealed. That
it was asked for stands on record before a byte goes out; that it was made, only once all of it was taken.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from penstock.server.actions import context
from penstock.server.actions.context import Plane
from penstock.server.actions.faults import BACKUP_KEY
from penstock.server.core.access import permit
from penstock.server.core.errors import Invalid, Unavailable
from penstock.server.core.events import line
from penstock.server.core.model import Actor
from penstock.server.core.rights import Target
from penstock.server.effects.archive import ArchiveFault
from penstock.server.effects.backups import Made, Occupied, Turn, fingerprint
from penstock.server.effects.feed import Feed, Gone
from penstock.server.store import events, settings
from penstock.server.store.db import Tx, copy_database

RETRY_S, FULL_RETRY_S = 30, 300


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked for: `key` is the PEM that it is sealed for, empty for a plain one."""

    key: bytes = b""
    images: bool = False

    def said(self) -> dict[str, str]:
        """For the record."""
        return {"key": fingerprint(self.key) if self.key else "", "images": "yes" if self.images else "no"}


class Book(Protocol):
    """Where it is put on record."""

    def __call__(self, verb: str, outcome: str, reason: str, data: dict[str, str], made_ms: int = 0) -> None:
        """One line; with `made_ms`, the newest backup is of then."""
        ...


def carry_out(turn: Turn, order: Order, write: Callable[[bytes], object], now_ms: int, note: Book, finish: Callable[[], object] = lambda: None) -> Made:
    """Make one, on record. `finish` returns once all of it was taken. Raises ArchiveFault, or what `write` and `finish` raise."""
    about = order.said()
    note("backup.begun", "begun", "", about)
    try:
        made = turn.make(write, copy_database, now_ms, key=order.key, images=order.images)
        finish()
    except BaseException as fault:
        note("backup.failed", "failed", str(fault) or type(fault).__name__, about)
        raise
    note("backup.made", "done", "", {**about, "size": str(made.size), "digest": made.digest}, made.made_ms)
    return made


def carry_out_here(
    turn: Turn, order: Order, write: Callable[[bytes], object], now_ms: int, actor: Actor, update: Callable[[Callable[[Tx], None]], None]
) -> Made:
    """The same for whoever holds the data folder. `update` runs a write transaction, where there is a book to write to."""

    def book(verb: str, outcome: str, reason: str, data: dict[str, str], made_ms: int = 0) -> None:
        def work(tx: Tx) -> None:
            events.add(tx, line(actor, now_ms, verb, "plane", outcome=outcome, reason=reason, data=data))
            _count(tx, made_ms)

        update(work)

    return carry_out(turn, order, write, now_ms, book)


def _count(tx: Tx, made_ms: int) -> None:
    if made_ms:
        settings.put(tx, BACKUP_KEY, str(made_ms))


def begin(plane: Plane, actor: Actor, *, key: str, images: bool) -> Feed:
    """Begin a backup sealed for the holder of `key` (PEM); the stream it comes by. Raises Invalid, Unavailable."""
    permit(actor, "system.backup", Target())
    if plane.backups is None:
        raise Unavailable("no-backups", "this control plane has no data folder of its own to back up", remedy="back up its database instead")
    order = Order(key.encode("utf-8"), images)
    try:
        order.said()
    except ArchiveFault as fault:
        raise Invalid("backup-key-unusable", str(fault), field="key", remedy="make one with: penstock backup key FILE, and send FILE.pub") from None
    try:
        turn = plane.backups.take()
    except Occupied:
        why = "another backup is being made, and there is one at a time"
        raise Unavailable("backup-in-progress", why, remedy="try again when that one is done", retry_s=RETRY_S) from None
    try:
        turn.check_room()
    except (ArchiveFault, OSError) as fault:
        turn.end()
        raise Unavailable("disk-full", str(fault), remedy="make room on the control plane's disk", retry_s=FULL_RETRY_S) from None
    feed = plane.backups.feed()

    def book(verb: str, outcome: str, reason: str, data: dict[str, str], made_ms: int = 0) -> None:
        def work(tx: Tx) -> None:
            context.note(plane, tx, actor, verb, "plane", outcome=outcome, reason=reason, data=data, topics=[("fleet", "plane")])
            _count(tx, made_ms)

        plane.db.update(work)

    def work() -> None:
        try:
            carry_out(turn, order, feed.write, plane.clock.now_ms(), book, feed.finish)
        except (ArchiveFault, Gone):
            raise  # it is on record
        except Exception as fault:
            plane.complain("a backup", fault)
            raise

    feed.start(work, turn.end)
    return feed
