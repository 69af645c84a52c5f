"""The plane's own record, for reading."""

from __future__ import annotations

from penstock.server.actions.context import Plane, bounded, make_cursor, read_cursor
from penstock.server.core.access import require
from penstock.server.core.model import Actor, Event
from penstock.server.core.views import Page
from penstock.server.store import events as store


def list_events(plane: Plane, actor: Actor, *, after: int = 0, subject: str = "", limit: int = 100) -> tuple[Event, ...]:
    """What came after event number `after`, oldest first."""
    reach = require(actor, "events.read")
    most = bounded(plane, limit)
    return plane.db.view(lambda tx: store.after(tx, reach, after, subject, most))


def latest_events(plane: Plane, actor: Actor, *, subject: str = "", cursor: str = "", limit: int = 50) -> Page[Event]:
    """The newest first."""
    reach = require(actor, "events.read")
    before = read_cursor(cursor, int)
    most = bounded(plane, limit)
    found = plane.db.view(lambda tx: store.before(tx, reach, before[0] if before else 0, subject, most + 1))
    return Page(found[:most], make_cursor(found[most - 1].number) if len(found) > most else "")


def last_number(plane: Plane) -> int:
    """The newest event's number."""
    return plane.db.view(store.last)
