"""Commands about sites and joining them: places, join lines, the waiting room."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter
from cyclopts.validators import Number

from penstock.apiv1 import devices as d
from penstock.apiv1 import people as p
from penstock.cli import out, sitepeople
from penstock.cli.common import COMMON, Common, Reason, Usage, pairs
from penstock.cli.names import SiteName, enrolments
from penstock.cli.rooms import print_rooms, rooms_of
from penstock.cli.watch import Watch, shown

if TYPE_CHECKING:
    from penstock.client import Client

site = App(name="site", help="Plants, ships, substations.")
site.command(sitepeople.people)
site.command("penstock.cli.comparing:sites", name="compare")
room = App(name="waiting", help="The waiting room: devices that ask to be let in.")


@site.command(name="list")
def site_list(*, common: Common = COMMON) -> int:
    """Every site."""
    with common.client() as client:
        found = client.sites()
    return out.listing(
        found,
        ("name", "devices", "waiting", "time zone", "title"),
        ((s.name, s.devices, s.waiting, s.time_zone, s.title) for s in found),
        "None yet: penstock site create NAME",
        json=common.json,
    )


@site.command(name="show")
def site_show(site: SiteName, *, common: Common = COMMON) -> int:
    """One site, and the room left on its devices."""
    with common.client() as client:
        found = client.site(site)
        rooms = () if common.json else rooms_of(lambda: client.site_room(found.id))
    if common.json:
        out.show_json(found)
    else:
        out.facts(
            (
                ("name", f"{found.name}  ({found.id})"),
                ("title", found.title),
                ("time zone", found.time_zone),
                ("devices", found.devices),
                ("waiting room", found.waiting),
            )
        )
        if rooms:
            out.console.print()
            print_rooms(rooms)
    return out.DONE


@site.command(name="create")
def site_create(
    name: str,
    *,
    title: Annotated[str, Parameter(help="Its name as people say it.")] = "",
    time_zone: Annotated[str, Parameter(help="An IANA name such as Europe/Berlin.")] = "UTC",
    common: Common = COMMON,
) -> int:
    """Name a site."""
    with common.client() as client:
        made = client.create_site(name, title, time_zone)
    if common.json:
        out.show_json(made)
    else:
        out.say(f"{made.name} is a site now; add its first device with: penstock join {made.name}")
    return out.DONE


@site.command(name="change")
def site_change(
    site: SiteName,
    *,
    title: str | None = None,
    time_zone: str | None = None,
    latitude: Annotated[float | None, Parameter(help="Decimal degrees, north positive.")] = None,
    longitude: Annotated[float | None, Parameter(help="Decimal degrees, east positive.")] = None,
    off_the_map: Annotated[bool, Parameter(negative=(), help="Forget where it is.")] = False,
    common: Common = COMMON,
) -> int:
    """Give a site another title, time zone or place on the map; its name stays."""
    given: dict[str, Any] = {"title": title, "time_zone": time_zone}
    if (latitude is None) != (longitude is None):
        raise Usage("a place on the map needs both --latitude and --longitude")
    if off_the_map and latitude is not None:
        raise Usage("say either where it is or --off-the-map, not both")
    if off_the_map or latitude is not None:
        given |= {"latitude": latitude, "longitude": longitude}
    elif title is None and time_zone is None:
        raise Usage("say what to change: --title TEXT, --time-zone ZONE, --latitude and --longitude, or --off-the-map")
    with common.client() as client:
        made = client.change_site(site, client.site(site).revision, p.SiteChange(**given))
    if common.json:
        out.show_json(made)
    else:
        where = "not on the map" if made.latitude is None else f"at {made.latitude:g}, {made.longitude:g}"
        out.say(f"{made.name} is {made.title!r} in the time zone {made.time_zone}, {where}")
    return out.DONE


@site.command(name="joins")
def site_joins(site: SiteName = "", *, common: Common = COMMON) -> int:
    """The join lines that still let somebody in, without their secrets."""
    with common.client() as client:
        found = tuple(item for item in client.joins(site) if item.good)
    return out.listing(
        found,
        ("id", "site", "used", "until", "made", "approval"),
        (
            (t.id, t.site, f"{t.used} of {t.uses}", out.at(t.expires_ms), out.ago(t.created_ms), "by itself" if t.auto_approve else "waiting room")
            for t in found
        ),
        "None. Make one: penstock join SITE",
        json=common.json,
    )


@site.command(name="revoke-join")
def site_revoke_join(join: str, *, common: Common = COMMON) -> int:
    """A join line lets nobody in any more.

    JOIN is its id, as `penstock site joins` shows it.
    """
    with common.client() as client:
        return out.outcome(client.revoke_join(join), json=common.json)


def join(
    site: SiteName,
    *,
    uses: Annotated[int, Parameter(validator=Number(gte=1, lte=10_000), help="How many devices it lets in.")] = 1,
    hours: Annotated[int, Parameter(validator=Number(gte=1, lte=366 * 24), help="How long it is good for.")] = 24,
    auto_approve: Annotated[bool, Parameter(negative=(), help="Let whoever brings it in without the waiting room.")] = False,
    label: Annotated[tuple[str, ...], Parameter(help="A label it gets, key=value; may be repeated.")] = (),
    common: Common = COMMON,
) -> int:
    """Make a join line for a site: one command to paste on the device."""
    with common.client() as client:
        made = client.create_join(site, d.JoinTokenCreate(uses=uses, valid_s=hours * 3600, auto_approve=auto_approve, labels=pairs(label, "label")))
    if common.json:
        out.show_json(made)
    else:
        out.console.print(made.line, soft_wrap=True, markup=False)
        out.aside(f"Good for {out.number(made.uses, 'device')} until {out.at(made.expires_ms)}. It is shown this once.")
    return out.DONE


@room.command(name="list")
def room_list(*, status: Literal["waiting", "approved", "rejected"] = "waiting", watch: Watch = False, common: Common = COMMON) -> int:
    """Who asks to be let in, with the fingerprint to compare."""

    def show(found: tuple[d.Enrolment, ...]) -> None:
        out.table(
            ("id", "name", "site", "fingerprint", "asked", "why"),
            ((e.id, e.name, e.site, e.fingerprint, out.ago(e.asked_ms), out.sentence(e.why)) for e in found),
            "Nobody.",
        )

    with common.client() as client:
        shown(client, ("enrolments",), lambda: client.enrolments(status), show, watch=watch, json=common.json)
    return out.DONE


def approve(
    enrolment: Annotated[str, Parameter(help="The id, or the name it asks for if only one asks for it.", completer=enrolments)],
    *,
    fingerprint: Annotated[str, Parameter(help="Approve only if it asks with this fingerprint, as the device shows it.")],
    name: Annotated[str, Parameter(help="Another name than the one it asks for.")] = "",
    replace: Annotated[bool, Parameter(negative=(), help="Let it take the place of the device of that name; the old key is dead at once.")] = False,
    label: Annotated[tuple[str, ...], Parameter(help="A label it gets, key=value; may be repeated.")] = (),
    common: Common = COMMON,
) -> int:
    """Let a device in, after comparing its fingerprint."""
    body = d.Approve(fingerprint=fingerprint, name=name or None, replace=replace, labels=pairs(label, "label") if label else None)
    with common.client() as client:
        return out.outcome(client.approve(_asking(client, enrolment), body), json=common.json)


def reject(
    enrolment: Annotated[str, Parameter(help="The id, or the name it asks for.", completer=enrolments)], *, reason: Reason = "", common: Common = COMMON
) -> int:
    """Turn a device away."""
    with common.client() as client:
        return out.outcome(client.reject(_asking(client, enrolment), reason), json=common.json)


def _asking(client: Client, text: str) -> str:
    found = [item for item in client.enrolments() if text in (item.id, item.name)]
    if len(found) > 1:
        raise Usage(f"{len(found)} devices ask to be {text}; say which by its id: " + ", ".join(f"{item.id} ({item.fingerprint})" for item in found))
    return found[0].id if found else text
