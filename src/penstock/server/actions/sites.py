"""Sites: make, list, read, change."""

from __future__ import annotations

from zoneinfo import available_timezones

from penstock.server.actions.context import Plane, note
from penstock.server.core.access import permit, require
from penstock.server.core.errors import Conflict, Invalid, missing
from penstock.server.core.model import Actor, Site, SiteId
from penstock.server.core.rights import EVERYWHERE, Target
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


def find(tx: Tx, actor: Actor, site: str, verb: str = "sites.read") -> Site:
    """By id or name, for `verb`. Raises Missing for what the actor may not see, Forbidden for what it may only see."""
    found = store.find(tx, require(actor, "sites.read"), site)
    if found is None:
        raise missing("site", site)
    permit(actor, verb, Target(site=found.id))
    return found


def _view(tx: Tx, site: Site) -> SiteView:
    have, wait = store.counts(tx).get(site.id, (0, 0))
    return SiteView(site, have, wait)


def create_site(plane: Plane, actor: Actor, *, name: str, title: str = "", time_zone: str = "UTC") -> Site:
    """A new site. Raises Conflict for a taken name."""
    permit(actor, "sites.write", Target())
    fault = name_fault(name)
    if fault:
        raise Invalid("name-malformed", fault, field="name")
    _check_zone(time_zone)
    _check_title(title)

    def work(tx: Tx) -> Site:
        if store.find(tx, EVERYWHERE, name) is not None:
            raise Conflict("name-taken", f"there is a site named {name} already", field="name")
        made = Site(SiteId(plane.ids.new("site")), name, title or name, time_zone, plane.clock.now_ms())
        store.add(tx, made)
        note(plane, tx, actor, "site.created", made.id, site=made.id, data={"name": name}, topics=[("fleet", made.id)])
        return made

    return plane.db.update(work)


def list_sites(plane: Plane, actor: Actor) -> tuple[SiteView, ...]:
    """All, by name."""
    reach = require(actor, "sites.read")

    def work(tx: Tx) -> tuple[SiteView, ...]:
        counts = store.counts(tx)
        return tuple(SiteView(site, *counts.get(site.id, (0, 0))) for site in store.all_in(tx, reach))

    return plane.db.view(work)


def names(plane: Plane) -> dict[str, str]:
    """The names of all sites by their ids: whoever sees a device, or one that asks, sees where it stands."""
    return {site.id: site.name for site in plane.db.view(lambda tx: store.all_in(tx, EVERYWHERE))}


def get_site(plane: Plane, actor: Actor, *, site: str) -> SiteView:
    """One, by id or name."""
    return plane.db.view(lambda tx: _view(tx, find(tx, actor, site)))


def change_site(plane: Plane, actor: Actor, *, site: str, revision: int, title: str | None = None, time_zone: str | None = None) -> Site:
    """Another title or time zone; the name stays for ever. Raises Stale."""
    require(actor, "sites.write")
    if time_zone is not None:
        _check_zone(time_zone)
    _check_title(title or "")

    def work(tx: Tx) -> Site:
        found = find(tx, actor, site, "sites.write")
        wanted = {"title": found.title if title is None else title, "time_zone": found.time_zone if time_zone is None else time_zone}
        store.change(tx, found, revision, **wanted)
        note(plane, tx, actor, "site.changed", found.id, site=found.id, data=wanted, topics=[("fleet", found.id)])
        return find(tx, actor, found.id)

    return plane.db.update(work)
