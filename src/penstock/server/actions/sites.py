"""Sites: make, list, read, change."""

from __future__ import annotations

from zoneinfo import available_timezones

from penstock.server.actions.context import Plane, note
from penstock.server.core.access import require
from penstock.server.core.errors import Conflict, Invalid, missing
from penstock.server.core.model import Actor, Scope, Site, SiteId
from penstock.server.core.views import SiteView
from penstock.server.store import sites as store
from penstock.server.store.db import Tx
from penstock.wire.types import name_fault


def _check_zone(time_zone: str) -> None:
    if time_zone not in available_timezones():
        raise Invalid("time-zone-unknown", f"{time_zone[:60]!r} is no time zone", field="time_zone", remedy="use a name such as Europe/Berlin, or UTC")


def _check_title(title: str) -> None:
    if len(title) > 200:
        raise Invalid("title-too-long", "a title has at most 200 characters", field="title")


def find(tx: Tx, scope: Scope, site: str) -> Site:
    """By id or name. Raises Missing."""
    found = store.find(tx, scope, site)
    if found is None:
        raise missing("site", site)
    return found


def _view(tx: Tx, site: Site) -> SiteView:
    have, wait = store.counts(tx).get(site.id, (0, 0))
    return SiteView(site, have, wait)


def create_site(plane: Plane, actor: Actor, scope: Scope, *, name: str, title: str = "", time_zone: str = "UTC") -> Site:
    """A new site. Raises Conflict for a taken name."""
    require(actor, "sites.write", scope)
    fault = name_fault(name)
    if fault:
        raise Invalid("name-malformed", fault, field="name")
    _check_zone(time_zone)
    _check_title(title)

    def work(tx: Tx) -> Site:
        if store.find(tx, Scope(), name) is not None:
            raise Conflict("name-taken", f"there is a site named {name} already", field="name")
        made = Site(SiteId(plane.ids.new("site")), name, title or name, time_zone, plane.clock.now_ms())
        store.add(tx, made)
        note(plane, tx, actor, "site.created", made.id, site=made.id, data={"name": name}, topics=[("fleet", made.id)])
        return made

    return plane.db.update(work)


def list_sites(plane: Plane, actor: Actor, scope: Scope) -> tuple[SiteView, ...]:
    """All, by name."""
    require(actor, "sites.read", scope)

    def work(tx: Tx) -> tuple[SiteView, ...]:
        counts = store.counts(tx)
        return tuple(SiteView(site, *counts.get(site.id, (0, 0))) for site in store.all_in(tx, scope))

    return plane.db.view(work)


def get_site(plane: Plane, actor: Actor, scope: Scope, *, site: str) -> SiteView:
    """One, by id or name."""
    require(actor, "sites.read", scope)
    return plane.db.view(lambda tx: _view(tx, find(tx, scope, site)))


def change_site(plane: Plane, actor: Actor, scope: Scope, *, site: str, revision: int, title: str | None = None, time_zone: str | None = None) -> Site:
    """Another title or time zone; the name stays for ever. Raises Stale."""
    require(actor, "sites.write", scope)
    if time_zone is not None:
        _check_zone(time_zone)
    _check_title(title or "")

    def work(tx: Tx) -> Site:
        found = find(tx, scope, site)
        wanted = {"title": found.title if title is None else title, "time_zone": found.time_zone if time_zone is None else time_zone}
        store.change(tx, found, revision, **wanted)
        note(plane, tx, actor, "site.changed", found.id, site=found.id, data=wanted, topics=[("fleet", found.id)])
        return find(tx, scope, found.id)

    return plane.db.update(work)
