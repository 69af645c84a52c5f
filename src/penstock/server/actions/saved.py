"""Saved views of the fleet: one's own, by name.

Owns making, listing and dropping them. Nobody sees another's; what a view shows is filtered by the rights of who looks.
"""

from __future__ import annotations

from penstock.server.actions.context import Plane
from penstock.server.core.access import require
from penstock.server.core.errors import Conflict, Limited, missing
from penstock.server.core.model import Actor
from penstock.server.core.saved import MOST, SavedView, name_of, query_of
from penstock.server.store import saved as store
from penstock.server.store.db import Tx


def list_views(plane: Plane, actor: Actor) -> tuple[SavedView, ...]:
    """One's own, oldest first."""
    require(actor, "devices.read")
    return plane.db.view(lambda tx: store.of_user(tx, actor.id))


def save_view(plane: Plane, actor: Actor, *, name: str, query: str) -> SavedView:
    """Give these filters a name. Raises Conflict for a name one has used."""
    require(actor, "devices.read")
    called, wanted = name_of(name), query_of(query)

    def work(tx: Tx) -> SavedView:
        mine = store.of_user(tx, actor.id)
        if any(one.name.lower() == called.lower() for one in mine):
            raise Conflict("name-taken", f"you have a view named {called} already", field="name", remedy="choose another name, or remove that view first")
        if len(mine) >= MOST:
            raise Limited("too-many-views", f"you have {MOST} views already", remedy="remove one that is no longer used")
        made = SavedView(plane.ids.new("view"), actor.id, called, wanted, plane.clock.now_ms())
        store.put(tx, made)
        return made

    return plane.db.update(work)


def drop_view(plane: Plane, actor: Actor, *, view: str) -> None:
    """Forget one of one's own. Raises Missing."""
    require(actor, "devices.read")

    def work(tx: Tx) -> None:
        if not store.drop(tx, actor.id, view):
            raise missing("view", view)

    plane.db.update(work)
