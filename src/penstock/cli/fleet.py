"""Commands about the fleet and its devices: how it stands, one device's life, what changes about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter
from rich.text import Text

from penstock.apiv1 import devices as d
from penstock.apiv1.parameters import Room
from penstock.cli import out, sites
from penstock.cli.common import COMMON, All, Common, Limit, Reason, most, pairs
from penstock.cli.names import AppName, DeviceName, GroupName, SiteName, ViewName, view_named
from penstock.cli.rooms import print_room, rooms_of
from penstock.cli.watch import POLL_S, News, Watch, shown

if TYPE_CHECKING:
    from penstock.client import Client

device = App(name="device", help="Devices: list, show, let in, change, retire.")
device.command(sites.approve)
device.command(sites.reject)
device.command("penstock.cli.comparing:devices", name="compare")


def status(*, watch: Watch = False, common: Common = COMMON) -> int:
    """The fleet in numbers, and what needs a person; exit code 6 when something is bad."""
    with common.client() as client:
        found = shown(client, ("fleet", "enrolments", "deployments"), client.overview, _print_overview, watch=watch, json=common.json)
    return out.ENDED_BADLY if any(item.severity == "bad" for item in found.faults) else out.DONE


def _print_overview(found: d.Overview) -> None:
    counts = (
        ("healthy", found.healthy),
        ("moving", found.moving),
        ("waiting", found.waiting),
        ("failing", found.failing),
        ("with nothing to run", found.idle),
        ("silent", found.silent),
        ("drifted", found.drifted),
        ("outdated", found.outdated),
        ("without a way back", found.no_way_back),
        ("quarantined", found.quarantined),
    )
    told = ", ".join(f"{count} {word}" for word, count in counts if count)
    out.say(f"{out.number(found.devices, 'device')} on {out.number(found.sites, 'site')}{f': {told}' if told else ''}")
    if found.waiting_room:
        out.console.print(f"{found.waiting_room} in the waiting room: penstock waiting list", style="yellow")
    for item in found.faults[:20]:
        out.console.print(out.status("bad" if item.severity == "bad" else "wait", out.plain(item.title)))
        out.console.print(Text(out.plain(f"    {out.sentence(item.why)} {out.sentence(item.remedy)}"), style="dim"))
    if len(found.faults) > 20:
        out.say(f"and {len(found.faults) - 20} more: penstock faults")
    if not found.devices:
        out.say("No device yet: penstock join SITE" if found.sites else "No site yet: penstock site create NAME")
    elif not found.faults:
        out.console.print(out.status("good", "nothing needs a person"))
    if found.faults_known:
        out.console.print(f"{found.faults_known} more somebody knows of: penstock faults --known", style="dim")


def _runs(found: d.DeviceSummary) -> str:
    return ", ".join(f"{one.app} {one.version}{f' (newest {one.newest})' if one.newest else ''}" for one in found.runs) or "-"


@device.command(name="list")
def device_list(
    *,
    site: SiteName = "",
    group: GroupName = "",
    phase: Annotated[str, Parameter(help="Whose worst app is in this phase, e.g. failed; several with commas.")] = "",
    liveness: Annotated[Literal["never", "current", "late", "silent"] | None, Parameter(help="How lately they were heard of.")] = None,
    state: Annotated[Literal["active", "quarantined", "retired"] | None, Parameter(help="Their standing in the fleet.")] = None,
    drifted: Annotated[bool, Parameter(negative=(), help="Only those that drifted.")] = False,
    way_back: Annotated[Literal["ok", "missing", "none"] | None, Parameter(help="By their way back.")] = None,
    label: Annotated[str, Parameter(help="A selector over labels, e.g. 'line=3,!spare'.")] = "",
    app: AppName = "",
    outdated: Annotated[bool, Parameter(negative=(), help="Only those that run an older release than the newest of its app.")] = False,
    text: Annotated[str, Parameter(help="With this in the name.")] = "",
    view: ViewName = "",
    sort: Annotated[Literal["worst", "name", "seen"] | None, Parameter(help="In which order; worst first unless said.")] = None,
    limit: Limit = None,
    all_: All = False,
    watch: Watch = False,
    common: Common = COMMON,
) -> int:
    """Devices, worst first."""
    given: dict[str, Any] = {"site": site, "group": group, "phase": phase, "liveness": liveness, "state": state, "drift": drifted or None, "way_back": way_back}
    given |= {"outdated": outdated or None, "label": label, "app": app, "text": text, "sort": sort}
    query = {key: value for key, value in given.items() if value}
    rows = most(limit, everything=all_, json=common.json)

    def show(found: tuple[d.DeviceSummary, ...]) -> None:
        out.listing(
            found,
            ("name", "site", "status", "runs", "drift", "way back", "last seen", "why"),
            (
                (s.name, s.site, out.status(s.tone, s.status), _runs(s), s.drift or "-", s.way_back, out.ago(s.last_seen_ms), "" if s.tone == "good" else s.why)
                for s in found
            ),
            "No such device." if view or query.keys() - {"sort"} else "No device. Add one: penstock join SITE",
            most=rows,
        )

    with common.client() as client:
        wanted = {**(view_named(client, view).filters if view else {}), **query}  # what is said here goes before what the view says
        shown(client, ("fleet",), lambda: tuple(client.devices(rows, **wanted)), show, watch=watch, json=common.json)
    return out.DONE


class WithRoom(d.Device, frozen=True, kw_only=True):
    """A device and its room; null for who may not see what runs there."""

    room: Room | None


@device.command(name="show")
def device_show(device: DeviceName, *, watch: Watch = False, common: Common = COMMON) -> int:
    """One device: what runs, whether it is well, the way back, the room left."""
    with common.client() as client:
        topics = (f"device/{client.device(device).summary.id}",) if watch else ()

        def ask() -> WithRoom:
            found = client.device(device)
            rooms = rooms_of(lambda: (client.device_room(device),))
            return WithRoom(**{field: getattr(found, field) for field in found.__struct_fields__}, room=rooms[0] if rooms else None)

        def show(found: WithRoom) -> None:
            _print_device(found)
            if found.room is not None:
                out.console.print()
                print_room(found.room)

        shown(client, topics, ask, show, watch=watch, json=common.json)
    return out.DONE


def _retirement(found: d.Retirement | None) -> tuple[tuple[str, str], ...]:
    if found is None or found.outcome == "cancelled":
        return ()
    if found.outcome == "ordered":
        word = "it has said what it did; its last word is awaited" if found.wiped_ms else "it has begun" if found.heard_ms else "it has not heard it yet"
        return (("retiring", f"ordered by {found.by or 'somebody'} {out.ago(found.ordered_ms)}, wiping {found.wipe}: {word}"),)
    return (("retired", f"{found.outcome}: {found.said}"),)


def _print_device(found: d.Device) -> None:
    s = found.summary
    out.facts(
        (
            ("name", f"{s.name}  ({s.id})"),
            ("site", s.site),
            ("status", out.status(s.tone, s.status)),
            ("why", s.why),
            ("last seen", out.ago(s.last_seen_ms)),
            ("signed state", f"{found.adopted_epoch}.{found.adopted_generation} of {found.owed_epoch}.{found.owed_generation}"),
            ("engine", f"{found.facts.engine} {found.facts.engine_version}"),
            ("labels", ", ".join(f"{k}={v}" for k, v in sorted(s.labels.items())) or "-"),
            ("groups", ", ".join(one.name for one in found.groups) or "-"),
            ("fingerprint", found.fingerprint),
            *(("alarm", Text(out.plain(item), style="red")) for item in s.alarms),
            *_retirement(found.retirement),
        )
    )
    for app in found.apps:
        out.console.print()
        arrow = f" -> {app.target_version}" if app.target_version and app.target_version != app.version else ""
        out.console.print(Text(out.plain(f"{app.app} {app.version or '-'}{arrow}  "), style="bold") + Text(app.phase))
        if app.why:
            out.say(out.sentence(app.why))
        out.table(
            ("service", "state", "health", "restarts", "why"), ((v.service, v.state, v.health, v.restarts, v.why) for v in app.services), "No service yet."
        )
        for item in app.drift:
            told = f"drift: {item.service} {item.field}: ordered {item.wanted!r}, seen {item.seen!r} {item.action}"
            out.console.print(Text(out.plain(told), style="yellow"))
        back = f"way back: {app.way_back.version}" if app.way_back.ok else f"no way back: {app.way_back.why or 'nothing soaked here yet'}"
        out.console.print(Text(out.plain(back), style="dim"))


@device.command(name="labels")
def device_labels(device: DeviceName, *labels: str, common: Common = COMMON) -> int:
    """Set all labels of a device: key=value ..., none to clear them."""
    with common.client() as client:
        made = client.change_device(device, _revision(client, device), d.DeviceChange(labels=pairs(labels, "label")))
    if common.json:
        out.show_json(made)
    else:
        out.say(f"{made.summary.name}: {', '.join(f'{k}={v}' for k, v in sorted(made.summary.labels.items())) or 'no label'}")
    return out.DONE


@device.command(name="rename")
def device_rename(device: DeviceName, name: str, *, common: Common = COMMON) -> int:
    """Give a device another name."""
    with common.client() as client:
        made = client.change_device(device, _revision(client, device), d.DeviceChange(name=name))
    if common.json:
        out.show_json(made)
    else:
        out.say(f"It is {made.summary.name} now")
    return out.DONE


@device.command(name="retire")
def device_retire(
    device: DeviceName,
    *,
    reason: Reason,
    wipe: Annotated[
        Literal["nothing", "apps", "data"],
        Parameter(help="What goes from it first: its apps, its apps with their data, or nothing (for hardware that is lost; its key is dead at once)."),
    ],
    yes: Annotated[bool, Parameter(negative=(), help="Needed: it is for good.")] = False,
    common: Common = COMMON,
) -> int:
    """Take a device out of the fleet for good.

    With --wipe=apps or data it removes its apps, its state and its keys itself, and says what it did.
    """
    if not yes:
        fate = "its key opens nothing any more, and nothing is wiped" if wipe == "nothing" else "it wipes itself as soon as it hears of it"
        out.errors.print(f"Retiring is for good: {fate}. Say it again with --yes.")
        return out.USAGE
    with common.client() as client:
        return out.outcome(client.retire(device, _revision(client, device), reason, wipe), json=common.json)


@device.command(name="keep")
def device_keep(device: DeviceName, *, reason: Reason = "", common: Common = COMMON) -> int:
    """Take an order to retire back, while the device has not heard it."""
    with common.client() as client:
        return out.outcome(client.keep(device, reason), json=common.json)


@device.command(name="move")
def device_move(device: DeviceName, site: SiteName, *, reason: Reason = "", common: Common = COMMON) -> int:
    """Say that a device stands at another site now.

    What belongs to the site follows; its log keeps its history.
    """
    with common.client() as client:
        made = client.move(device, _revision(client, device), site, reason)
    if common.json:
        out.show_json(made)
    else:
        out.say(f"{made.summary.name} is at {made.summary.site} now")
    return out.DONE


@device.command(name="release")
def device_release(device: DeviceName, *, reason: Reason, common: Common = COMMON) -> int:
    """Release a device from quarantine."""
    with common.client() as client:
        return out.outcome(client.release_quarantine(device, _revision(client, device), reason), json=common.json)


@device.command(name="accept")
def device_accept(device: DeviceName, *, reason: Reason, common: Common = COMMON) -> int:
    """Say that what a device runs has been looked at, after a restore."""
    with common.client() as client:
        return out.outcome(client.accept_review(device, _revision(client, device), reason), json=common.json)


def _revision(client: Client, device: str) -> int:
    return client.device(device).summary.revision


# --- a device's life ------------------------------------------------------------------------------------------------------


def timeline(
    device: DeviceName,
    *,
    kinds: Annotated[str, Parameter(help="Only these kinds of entries, with commas between them.")] = "",
    limit: Limit = 30,
    all_: All = False,
    follow: Annotated[bool, Parameter(name=("--follow", "-f"), negative=(), help="Then stay and show what comes, until stopped.")] = False,
    common: Common = COMMON,
) -> int:
    """What runs on a device and how it got there, newest last."""
    rows = 0 if all_ else limit or 30
    with common.client() as client:
        if not follow:
            found = tuple(client.timeline(device, kinds, rows))
            if common.json:
                out.show_json(found)
                return out.DONE
            if not found:
                out.console.print("Nothing yet.", style="dim")
            for item in reversed(found):
                _print_entry(item)
            return out.DONE
        with News(client, f"device/{client.device(device).summary.id}") as news:
            seen: set[str] = set()
            fresh = list(client.timeline(device, kinds, rows))
            while True:
                for item in reversed(fresh):
                    seen.add(item.key)
                    out.line_json(item) if common.json else _print_entry(item)
                news.heard(POLL_S)
                fresh = _unseen(client, device, kinds, seen)


def _unseen(client: Client, device: str, kinds: str, seen: set[str]) -> list[d.TimelineItem]:
    """What came since, newest first: back to an unbroken run of what was shown, since a device away for a while reports what is older."""
    found, known = [], 0
    for item in client.timeline(device, kinds, 1000):
        known = known + 1 if item.key in seen else 0
        if not known:
            found.append(item)
        elif known == min(20, len(seen)):
            break
    return found


def _print_entry(item: d.TimelineItem) -> None:
    clock = "" if item.clock == "trusted" else " (clock not trusted)"
    by = f"  by {item.by}" if item.by else ""
    out.console.print(Text(f"{out.at(item.at_ms)}{clock}  ", style="dim") + out.status(item.tone, item.title) + Text(out.plain(by), style="dim"))
    if item.why:
        out.console.print(Text(out.plain(f"    {out.sentence(item.why)}"), style="dim"))
