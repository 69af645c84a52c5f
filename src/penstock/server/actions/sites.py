"""Sites: make, list, read, change."""

from __future__ import annotations

from typing import Any
from zoneinfo import available_timezones

from penstock.server.actions import rollouts
from penstock.server.actions.context import Plane, bounded, make_cursor, note, read_cursor
from penstock.server.core.access import permit, require
from penstock.server.core.errors import Conflict, Invalid, missing
from penstock.server.core.model import Actor, Event, Site, SiteId
from penstock.server.core.rights import EVERYWHERE, Reach, Target, allowed, reach
from penstock.server.core.siteview import by_site
from penstock.server.core.views import Page, SiteView
from penstock.server.store import devices, events
from penstock.server.store import rollouts as rollout_store
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


# What a page about one site has buttons for.
ACTS = ("sites.write", "joins.write", "joins.read", "events.read", "access.read")


def _check_place(latitude: float | None, longitude: float | None) -> None:
    if (latitude is None) != (longitude is None):
        field = "latitude" if latitude is None else "longitude"
        raise Invalid("place-half", f"a place on the map needs a latitude and a longitude; {field} is missing", field=field, remedy="give both, or neither")
    for name, value, most in (("latitude", latitude, 90), ("longitude", longitude, 180)):
        if value is not None and not -most <= value <= most:  # not-a-number is in no range
            raise Invalid("place-off-the-map", f"{name} is -{most} to {most} degrees", field=name, remedy="write decimal degrees; north and east are positive")


def _views(tx: Tx, actor: Actor, found: tuple[Site, ...], which: str = "") -> tuple[SiteView, ...]:
    counts = store.counts(tx)
    tones = by_site(devices.alike(tx, reach(actor.rights, "devices.read"), which))
    return tuple(SiteView(site, *counts.get(site.id, (0, 0)), tones.get(site.id, {}), allowed(actor.rights, ACTS, Target(site=site.id))) for site in found)


def create_site(
    plane: Plane, actor: Actor, *, name: str, title: str = "", time_zone: str = "UTC", latitude: float | None = None, longitude: float | None = None
) -> Site:
    """A new site. Raises Conflict for a taken name."""
    permit(actor, "sites.write", Target())
    fault = name_fault(name)
    if fault:
        raise Invalid("name-malformed", fault, field="name")
    _check_zone(time_zone)
    _check_title(title)
    _check_place(latitude, longitude)

    def work(tx: Tx) -> Site:
        if store.find(tx, EVERYWHERE, name) is not None:
            raise Conflict("name-taken", f"there is a site named {name} already", field="name")
        made = Site(SiteId(plane.ids.new("site")), name, title or name, time_zone, plane.clock.now_ms(), 1, latitude, longitude)
        store.add(tx, made)
        note(plane, tx, actor, "site.created", made.id, site=made.id, data={"name": name}, topics=[("fleet", made.id)])
        return made

    return plane.db.update(work)


def list_sites(plane: Plane, actor: Actor) -> tuple[SiteView, ...]:
    """All, by name."""
    seen = require(actor, "sites.read")
    return plane.db.view(lambda tx: _views(tx, actor, store.all_in(tx, seen)))


def count_sites(plane: Plane, actor: Actor) -> int:
    """How many there are that the actor may see."""
    seen = require(actor, "sites.read")
    return plane.db.view(lambda tx: store.count(tx, seen))


def names(plane: Plane) -> dict[str, str]:
    """The names of all sites by their ids: whoever sees a device, or one that asks, sees where it stands."""
    return {site.id: site.name for site in plane.db.view(lambda tx: store.all_in(tx, EVERYWHERE))}


def get_site(plane: Plane, actor: Actor, *, site: str) -> SiteView:
    """One, by id or name."""

    def work(tx: Tx) -> SiteView:
        found = find(tx, actor, site)
        return _views(tx, actor, (found,), found.id)[0]

    return plane.db.view(work)


def site_history(plane: Plane, actor: Actor, *, site: str, cursor: str = "", limit: int = 50) -> Page[Event]:
    """What was done at one site (and to its devices), newest first, as far as the actor may read it."""
    may_read = require(actor, "events.read")
    before = read_cursor(cursor, int)
    most = bounded(plane, limit)

    def work(tx: Tx) -> Page[Event]:
        found = find(tx, actor, site)
        here = events.before(tx, Reach(sites=frozenset((found.id,)), within=may_read), before[0] if before else 0, "", most + 1)
        return Page(here[:most], make_cursor(here[most - 1].number) if len(here) > most else "")

    return plane.db.view(work)


def change_site(
    plane: Plane,
    actor: Actor,
    *,
    site: str,
    revision: int,
    title: str | None = None,
    time_zone: str | None = None,
    place: tuple[float | None, float | None] | None = None,
) -> Site:
    """Another title, time zone or `place` (latitude and longitude; of None: off the map); what is None stays. The name stays for ever. Raises Stale."""
    require(actor, "sites.write")
    if time_zone is not None:
        _check_zone(time_zone)
    _check_title(title or "")
    if place is not None:
        _check_place(*place)

    def work(tx: Tx) -> Site:
        found = find(tx, actor, site, "sites.write")
        wanted: dict[str, Any] = {"title": found.title if title is None else title, "time_zone": found.time_zone if time_zone is None else time_zone}
        latitude, longitude = (found.latitude, found.longitude) if place is None else place
        store.change(tx, found, revision, **wanted, latitude=latitude, longitude=longitude)
        where = "" if latitude is None or longitude is None else f"{latitude:g}, {longitude:g}"
        note(plane, tx, actor, "site.changed", found.id, site=found.id, data={**wanted, "place": where}, topics=[("fleet", found.id)])
        if wanted != {"title": found.title, "time_zone": found.time_zone}:
            there = devices.at_site(tx, found.id)
            for app in sorted({one.app for many in rollout_store.assigned_to(tx, there).values() for one in many}):
                rollouts.revalue(plane, tx, app, there)  # values may ask for the site's title
        return find(tx, actor, found.id)

    return plane.db.update(work)
