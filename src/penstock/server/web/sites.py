"""Pages of sites: the list with its map, and one site with its devices, what runs there, how to join, what was done there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from penstock.apiv1 import people as p
from penstock.server.api import devices, fleet, notices, people, queries
from penstock.server.core import chart
from penstock.server.core.errors import Invalid
from penstock.server.web.frame import PAGE_FAULTS, Go, Show, Undo, faults_of, read, told
from penstock.server.web.notices import may_know
from penstock.server.web.parameters import rooms_of
from penstock.server.web.zones import ZONES

if TYPE_CHECKING:
    from penstock.apiv1.common import Problem
    from penstock.server.web.frame import Ask

SITE_DEVICES = 200


def map_of(sites: tuple[p.Site, ...], width: float = chart.WIDTH, height: float = chart.HEIGHT) -> chart.Chart | None:
    """The map of those that have a place; None when none has."""
    places = [
        chart.Place(site.name, site.title or site.name, site.latitude, site.longitude, site.devices)
        for site in sites
        if site.latitude is not None and site.longitude is not None
    ]
    return chart.draw(places, width, height) if places else None


def _sites(ask: Ask, problem: Problem | None = None, form: dict[str, Any] | None = None) -> Show:
    found: tuple[p.Site, ...] = ask.ask(people.list_sites).items
    return Show(
        "sites.html",
        {
            "sites": found,
            "by_name": {site.name: site for site in found},
            "map": map_of(found),
            "map_small": map_of(found, 380, 320),
            "now_ms": ask.plane.clock.now_ms(),
            "problem": problem,
            "faults": faults_of(problem),
            "form": form or {"name": "", "title": "", "time_zone": "", "latitude": "", "longitude": ""},
            "zones": ZONES,
        },
        422 if problem else 200,
    )


def sites(ask: Ask) -> Show:
    """Every site."""
    return _sites(ask)


def _degrees(form: dict[str, str]) -> dict[str, float | None]:
    """The place a form names; both fields empty: none. Raises Invalid naming the field that is no number."""
    found: dict[str, float | None] = {}
    for name in ("latitude", "longitude"):
        text = form[name].replace(",", ".")
        try:
            found[name] = float(text) if text else None
        except ValueError:
            raise Invalid("place-malformed", f"{text[:40]!r} is no number of degrees", field=name, remedy="write decimal degrees such as 53.55") from None
    return found


def create_site(ask: Ask) -> Show | Go:
    """Name a site."""
    form = {key: ask.first(key) for key in ("name", "title", "time_zone", "latitude", "longitude")}
    try:
        made = ask.ask(people.create_site, body=read(p.SiteCreate, {**form, "time_zone": form["time_zone"] or "UTC", **_degrees(form)}))
    except PAGE_FAULTS as fault:
        return _sites(ask, told(fault), form)
    if ask.may("joins.write"):
        return Go(f"/join?{urlencode({'site': made.name})}", f"{made.title or made.name} is a site now. Now add its first device.")
    return Go(f"/sites/{made.name}", f"{made.title or made.name} is a site now.")


def _form(found: p.Site) -> dict[str, str]:
    """A site as its form has it."""
    return {
        "title": found.title,
        "time_zone": found.time_zone,
        "latitude": "" if found.latitude is None else f"{found.latitude:g}",
        "longitude": "" if found.longitude is None else f"{found.longitude:g}",
    }


def _site(ask: Ask, problem: Problem | None = None, form: dict[str, str] | None = None) -> Show:
    found: p.Site = ask.ask(people.get_site)
    listed: Any = None
    runs: dict[str, dict[str, int]] = {}
    if ask.may("devices.read"):
        listed = ask.ask(devices.list_devices, query=queries.Devices(site=found.id, limit=SITE_DEVICES))
        for device in listed.items:
            for one in device.runs:
                versions = runs.setdefault(one.app, {})
                versions[one.version or "-"] = versions.get(one.version or "-", 0) + 1
    return Show(
        "site.html",
        {
            "x": found,
            "devices": listed.items if listed else None,
            "more": bool(listed and listed.next),
            "wrong": ask.ask(notices.list_faults, query=queries.Faults(site=found.name, known=False)).items if ask.may("devices.read") else (),
            "may_know": may_know(ask),
            "runs": {app: sorted(versions.items(), key=lambda pair: -pair[1]) for app, versions in sorted(runs.items())},
            "rooms": rooms_of(ask, found.id),
            "now_ms": ask.plane.clock.now_ms(),
            "zone": found.time_zone,
            "place": found.title or found.name,
            "by_name": {found.name: found},
            "map": map_of((found,), 480, 300),
            "joins": [one for one in ask.ask(devices.list_joins, query=queries.Joins(site=found.name)).items if one.good] if "joins.read" in found.may else [],
            "history": ask.ask(fleet.site_history, query=queries.Paging(limit=12)).items if "events.read" in found.may else [],
            "problem": problem,
            "faults": faults_of(problem),
            "form": form or _form(found),
            "zones": ZONES,
        },
        422 if problem else 200,
    )


def site(ask: Ask) -> Show:
    """One site: its devices, where it is, what runs there."""
    return _site(ask)


def change_site(ask: Ask) -> Show | Go:
    """Another title, time zone or place."""
    form = {key: ask.first(key) for key in ("title", "time_zone", "latitude", "longitude")}
    try:
        before: p.Site = ask.ask(people.get_site)
        body = read(p.SiteChange, {"title": form["title"], "time_zone": form["time_zone"], **_degrees(form)})
        made = ask.ask(people.change_site, body=body, revision=ask.revision())
    except PAGE_FAULTS as fault:
        return _site(ask, told(fault), form)
    undo = Undo(f"/sites/{made.name}", {**_form(before), "revision": str(made.revision)})
    return Go(f"/sites/{made.name}", f"{made.title or made.name} is saved.", undo=undo)
