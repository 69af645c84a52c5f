"""Commands about where a site is, and about two sites or devices side by side."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter

from penstock.apiv1 import fleet as f
from penstock.apiv1 import people as p
from penstock.cli import out
from penstock.cli.common import COMMON, Common, Usage
from penstock.cli.fleet import device, site

All = Annotated[bool, Parameter(name="--all", negative=(), help="Show what is the same, too.")]


@site.command(name="set")
def site_set(
    site: str,
    *,
    title: str | None = None,
    time_zone: str | None = None,
    latitude: Annotated[float | None, Parameter(help="Decimal degrees, north positive.")] = None,
    longitude: Annotated[float | None, Parameter(help="Decimal degrees, east positive.")] = None,
    off_the_map: Annotated[bool, Parameter(negative=(), help="Forget where it is.")] = False,
    common: Common = COMMON,
) -> int:
    """Change a site's title, its time zone, or where it is on the map."""
    given: dict[str, Any] = {"title": title, "time_zone": time_zone}
    if (latitude is None) != (longitude is None):
        raise Usage("a place on the map needs both --latitude and --longitude")
    if off_the_map or latitude is not None:
        if off_the_map and latitude is not None:
            raise Usage("say either where it is or --off-the-map, not both")
        given |= {"latitude": latitude, "longitude": longitude}
    elif title is None and time_zone is None:
        raise Usage("say what to change: --title, --time-zone, --latitude and --longitude, or --off-the-map")
    with common.client() as client:
        made = client.change_site(site, client.site(site).revision, p.SiteChange(**given))
    if common.json:
        out.show_json(made)
    else:
        where = "not on the map" if made.latitude is None else f"at {made.latitude:g}, {made.longitude:g}"
        out.say(f"{made.name}: {made.title}, {made.time_zone}, {where}")
    return out.DONE


def _show(found: f.Comparison, common: Common, *, everything: bool) -> int:
    if common.json:
        out.show_json(found)
        return out.DONE
    rows = [row for row in found.rows if everything or not row.same]
    out.table(
        ("what", "name", found.a.name, found.b.name),
        ((row.part, row.name, row.a or "-", row.b or "-") for row in rows),
        f"{found.a.name} and {found.b.name} do not differ in anything this plane knows.",
    )
    same = len(found.rows) - len(rows)
    if same:
        out.errors.print(f"{same} more are the same; --all shows them.", style="dim")
    return out.DONE


@device.command(name="compare")
def device_compare(a: str, b: str, *, everything: All = False, common: Common = COMMON) -> int:
    """Two devices side by side: what differs in platforms, labels, releases, values and drift."""
    with common.client() as client:
        return _show(client.compare("devices", a, b), common, everything=everything)


@site.command(name="compare")
def site_compare(a: str, b: str, *, everything: All = False, common: Common = COMMON) -> int:
    """Two sites side by side: what differs in how their devices stand, labels, releases, values and drift."""
    with common.client() as client:
        return _show(client.compare("sites", a, b), common, everything=everything)
