"""Commands about sites and devices: the fleet, joining, the waiting room, one device's life, what may be asked of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter
from cyclopts.validators import Number
from rich.live import Live
from rich.text import Text

from penstock.apiv1 import devices as d
from penstock.cli import out
from penstock.cli.common import COMMON, Common, Usage, pairs

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.client import Client

site = App(name="site", help="Plants, ships, substations.")
device = App(name="device", help="Devices: list, show, change, retire.")
room = App(name="waiting", help="The waiting room: devices that ask to be let in.")
command = App(name="command", help="Ask something of a device.")

Watch = Annotated[bool, Parameter(negative=(), help="Stay and show changes until stopped.")]


def watched(show: Callable[[], bool], *, watch: bool) -> int:
    """Show once, or again and again until `show` says that it is over."""
    if not watch:
        show()
        return out.DONE
    with Live(console=out.console, auto_refresh=False, transient=False) as live:
        while True:
            with out.console.capture() as captured:
                over = show()
            live.update(Text.from_ansi(captured.get()), refresh=True)
            if over:
                return out.DONE
            time.sleep(2)


def status(*, watch: Watch = False, common: Common = COMMON) -> int:
    """The fleet in numbers, and what needs a person. Exit code 6 when something is bad."""
    bad = False
    with common.client() as client:

        def show() -> bool:
            nonlocal bad
            found = client.overview()
            bad = any(item.severity == "bad" for item in found.concerns)
            if common.json:
                out.show_json(found)
                return False
            out.console.print(
                f"{out.number(found.devices, 'device')} on {out.number(found.sites, 'site')}: {found.healthy} healthy, {found.moving} moving, {found.waiting} waiting, "
                f"{found.failing} failing, {found.idle} with nothing to run, {found.silent} silent, {found.drifted} drifted, {found.outdated} outdated, {found.no_way_back} without a way back"
            )
            if found.waiting_room:
                out.console.print(f"{found.waiting_room} in the waiting room: penstock waiting list", style="yellow")
            for item in found.concerns[:20]:
                out.console.print(out.status("bad" if item.severity == "bad" else "wait", f"{item.name}: {item.what}"))
                out.console.print(Text(f"    {out.sentence(item.why)} {out.sentence(item.remedy)}", style="dim"))
            if found.devices and not found.concerns:
                out.console.print(out.status("good", "nothing needs a person"))
            return False

        watched(show, watch=watch)
    return out.ENDED_BADLY if bad else out.DONE


# --- sites and joining --------------------------------------------------------------------------------------------------


@site.command(name="list")
def site_list(*, common: Common = COMMON) -> int:
    """Every site."""
    with common.client() as client:
        found = client.sites()
    if common.json:
        out.show_json(found)
    else:
        out.table(
            ("name", "title", "time zone", "devices", "waiting"),
            ((s.name, s.title, s.time_zone, s.devices, s.waiting) for s in found),
            "None yet: penstock site create NAME",
        )
    return out.DONE


@site.command(name="create")
def site_create(name: str, *, title: str = "", time_zone: str = "UTC", common: Common = COMMON) -> int:
    """Name a site."""
    with common.client() as client:
        made = client.create_site(name, title, time_zone)
    if common.json:
        out.show_json(made)
    else:
        out.say(f"{made.name} is a site now; add its first device with: penstock join {made.name}")
    return out.DONE


@site.command(name="joins")
def site_joins(site: str = "", *, common: Common = COMMON) -> int:
    """The join lines that still let somebody in, without their secrets."""
    with common.client() as client:
        found = tuple(item for item in client.joins(site) if item.good)
    if common.json:
        out.show_json(found)
    else:
        out.table(
            ("id", "site", "used", "until", "made", "approval"),
            (
                (t.id, t.site, f"{t.used} of {t.uses}", out.at(t.expires_ms), out.ago(t.created_ms), "by itself" if t.auto_approve else "waiting room")
                for t in found
            ),
            "None. Make one: penstock join SITE",
        )
    return out.DONE


@site.command(name="revoke-join")
def site_revoke_join(join: str, *, common: Common = COMMON) -> int:
    """A join line lets nobody in any more. JOIN is its id, as `penstock site joins` shows it."""
    with common.client() as client:
        out.say(client.revoke_join(join).said)
    return out.DONE


def join(
    site: str,
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
        out.console.print(made.line, soft_wrap=True)
        out.errors.print(f"Good for {out.number(made.uses, 'device')} until {out.at(made.expires_ms)}. It is shown this once.", style="dim")
    return out.DONE


@room.command(name="list")
def room_list(*, status: Literal["waiting", "approved", "rejected"] = "waiting", common: Common = COMMON) -> int:
    """Who asks to be let in, with the fingerprint to compare."""
    with common.client() as client:
        found = client.enrolments(status)
    if common.json:
        out.show_json(found)
    else:
        out.table(
            ("id", "name", "site", "fingerprint", "asked", "why"),
            ((e.id, e.name, e.site, e.fingerprint, out.ago(e.asked_ms), out.sentence(e.why)) for e in found),
            "Nobody.",
        )
    return out.DONE


@device.command(name="approve")
def device_approve(
    enrolment: Annotated[str, Parameter(help="The id, or the name it asks for if only one asks for it.")],
    *,
    fingerprint: Annotated[str, Parameter(help="Approve only if it asks with this fingerprint, as the device shows it.")],
    name: str = "",
    replace: Annotated[bool, Parameter(negative=(), help="Let it take the place of the device of that name; the old key is dead at once.")] = False,
    label: tuple[str, ...] = (),
    common: Common = COMMON,
) -> int:
    """Let a device in, after comparing its fingerprint."""
    with common.client() as client:
        body = d.Approve(fingerprint=fingerprint, name=name or None, replace=replace, labels=pairs(label, "label") if label else None)
        out.say(client.approve(_asking(client, enrolment), body).said)
    return out.DONE


@device.command(name="reject")
def device_reject(enrolment: str, *, reason: str = "", common: Common = COMMON) -> int:
    """Turn a device away."""
    with common.client() as client:
        out.say(client.reject(_asking(client, enrolment), reason).said)
    return out.DONE


def _asking(client: Client, text: str) -> str:
    found = [item for item in client.enrolments() if text in (item.id, item.name)]
    if len(found) > 1:
        raise Usage(f"{len(found)} devices ask to be {text}; say which by its id: " + ", ".join(f"{item.id} ({item.fingerprint})" for item in found))
    return found[0].id if found else text


# --- devices ------------------------------------------------------------------------------------------------------------


@device.command(name="list")
def device_list(
    *,
    site: str = "",
    phase: str = "",
    label: Annotated[str, Parameter(help="A selector over labels, e.g. 'line=3,!spare'.")] = "",
    text: str = "",
    app: Annotated[str, Parameter(help="Only those that run this app.")] = "",
    outdated: Annotated[bool, Parameter(negative=(), help="Only those that run an older release than the newest of its app.")] = False,
    sort: Literal["worst", "name", "seen"] = "worst",
    watch: Watch = False,
    common: Common = COMMON,
) -> int:
    """Devices, worst first."""
    with common.client() as client:

        def show() -> bool:
            narrowed = {"outdated": True} if outdated else {}
            found = tuple(client.devices(site=site, phase=phase, label=label, text=text, app=app, sort=sort, **narrowed))
            if common.json:
                out.show_json(found)
            else:
                out.table(
                    ("name", "site", "status", "runs", "drift", "way back", "last seen", "why"),
                    (
                        (
                            s.name,
                            s.site,
                            out.status(s.tone, s.status),
                            ", ".join(f"{one.app} {one.version}{f' (newest {one.newest})' if one.newest else ''}" for one in s.runs) or "-",
                            s.drift or "-",
                            s.way_back,
                            out.ago(s.last_seen_ms),
                            "" if s.tone == "good" else s.why,
                        )
                        for s in found
                    ),
                    "No device. Add one: penstock join SITE",
                )
            return False

        return watched(show, watch=watch)


@device.command(name="show")
def device_show(device: str, *, watch: Watch = False, common: Common = COMMON) -> int:
    """One device: what runs, whether it is well, the way back."""
    with common.client() as client:

        def show() -> bool:
            found = client.device(device)
            if common.json:
                out.show_json(found)
            else:
                _print_device(found)
            return False

        return watched(show, watch=watch)


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
            ("fingerprint", found.fingerprint),
            *(("alarm", Text(item, style="red")) for item in s.alarms),
        )
    )
    for app in found.apps:
        out.console.print()
        arrow = f" -> {app.target_version}" if app.target_version and app.target_version != app.version else ""
        out.console.print(Text(f"{app.app} {app.version or '-'}{arrow}  ", style="bold") + Text(app.phase))
        if app.why:
            out.say(out.sentence(app.why))
        out.table(
            ("service", "state", "health", "restarts", "why"), ((v.service, v.state, v.health, v.restarts, v.why) for v in app.services), "No service yet."
        )
        for item in app.drift:
            out.console.print(Text(f"drift: {item.service} {item.field}: ordered {item.wanted!r}, seen {item.seen!r} {item.action}", style="yellow"))
        back = f"way back: {app.way_back.version}" if app.way_back.ok else f"no way back: {app.way_back.why or 'nothing soaked here yet'}"
        out.console.print(Text(back, style="dim"))


@device.command(name="labels")
def device_labels(device: str, *labels: str, common: Common = COMMON) -> int:
    """Set all labels of a device: key=value ..., none to clear them."""
    with common.client() as client:
        before = client.device(device).summary
        made = client.change_device(device, before.revision, d.DeviceChange(labels=pairs(labels, "label")))
    if common.json:
        out.show_json(made)
    else:
        out.say(f"{made.summary.name}: {', '.join(f'{k}={v}' for k, v in sorted(made.summary.labels.items())) or 'no label'}")
    return out.DONE


@device.command(name="rename")
def device_rename(device: str, name: str, *, common: Common = COMMON) -> int:
    """Give a device another name."""
    with common.client() as client:
        made = client.change_device(device, client.device(device).summary.revision, d.DeviceChange(name=name))
    out.say(f"It is {made.summary.name} now")
    return out.DONE


@device.command(name="retire")
def device_retire(
    device: str, *, reason: str, yes: Annotated[bool, Parameter(negative=(), help="Needed: it is for good.")] = False, common: Common = COMMON
) -> int:
    """Take a device out of the fleet for good."""
    if not yes:
        out.errors.print("Retiring is for good: its key opens nothing any more. Say it again with --yes.")
        return out.USAGE
    with common.client() as client:
        out.say(client.retire(device, client.device(device).summary.revision, reason).said)
    return out.DONE


@device.command(name="release")
def device_release(device: str, *, reason: str, common: Common = COMMON) -> int:
    """Release a device from quarantine."""
    with common.client() as client:
        out.say(client.release_quarantine(device, client.device(device).summary.revision, reason).said)
    return out.DONE


@device.command(name="accept")
def device_accept(device: str, *, reason: str, common: Common = COMMON) -> int:
    """Say that what a device runs has been looked at, after a restore."""
    with common.client() as client:
        out.say(client.accept_review(device, client.device(device).summary.revision, reason).said)
    return out.DONE


def timeline(device: str, *, kinds: str = "", limit: int = 30, common: Common = COMMON) -> int:
    """What runs on a device and how it got there, newest last."""
    with common.client() as client:
        found = client.timeline(device, kinds, min(limit, 200))
    if common.json:
        out.show_json(found)
        return out.DONE
    if not found:
        out.console.print("Nothing yet.", style="dim")
    for item in reversed(found):
        clock = "" if item.clock == "trusted" else " (clock not trusted)"
        by = f"  by {item.by}" if item.by else ""
        out.console.print(Text(f"{out.at(item.at_ms)}{clock}  ", style="dim") + out.status(item.tone, item.title) + Text(by, style="dim"))
        if item.why:
            out.console.print(Text(f"    {out.sentence(item.why)}", style="dim"))
    return out.DONE


# --- commands -------------------------------------------------------------------------------------------------------------


WAIT_S = 90  # a device at rest asks once a minute


def _wait(client: Client, found: d.Command, device: str, wait_s: int) -> d.Command:
    until = time.monotonic() + wait_s
    with out.errors.status(f"waiting for {device} to ask: once a minute while it is at rest"):  # shown on terminals only
        while found.outcome == "open" and time.monotonic() < until:
            time.sleep(0.5)
            found = client.command(found.id)
    return found


def _ended(found: d.Command) -> int:
    if found.output:
        out.console.print(Text(found.output), soft_wrap=True)
    tones = {"done": "good", "failed": "bad", "refused": "wait", "unknown": "wait", "open": "busy", "expired": "none"}
    words = {"open": f"still on its way, done when the device asks next (`penstock command show {found.id}` says how it ended)"}
    out.errors.print(out.status(tones[found.outcome], f"{found.verb}: {words.get(found.outcome, found.outcome)}. {out.sentence(found.why)}"))
    return out.DONE if found.outcome in ("done", "open") else out.ENDED_BADLY


@command.command(name="send")
def command_send(
    device: str,
    verb: Literal["restart", "revert", "logs", "inspect", "prune", "refresh", "accept-pin"],
    *,
    app: str = "",
    service: str = "",
    lines: int = 200,
    what: Annotated[Literal["", "usage"], Parameter(help="Of inspect: only what the container uses now.")] = "",
    wait: Annotated[int, Parameter(help="Seconds to wait for its outcome; 0 not to wait.")] = WAIT_S,
    common: Common = COMMON,
) -> int:
    """Ask something of a device. Signed, done at most once, kept while it is away."""
    with common.client() as client:
        found = _wait(client, client.order(device, d.CommandCreate(verb=verb, app=app, service=service, lines=lines, what=what)), device, wait)
    if common.json:
        out.show_json(found)
        return out.DONE if found.outcome in ("done", "open") else out.ENDED_BADLY
    return _ended(found)


@command.command(name="list")
def command_list(device: str, *, common: Common = COMMON) -> int:
    """The newest commands of a device."""
    with common.client() as client:
        found = client.commands(device)
    if common.json:
        out.show_json(found)
    else:
        out.table(
            ("id", "command", "outcome", "by", "given", "why"),
            ((c.id, " ".join([c.verb, *c.arguments.values()]), c.outcome, c.by, out.ago(c.issued_ms), c.why) for c in found),
            "None yet.",
        )
    return out.DONE


@command.command(name="show")
def command_show(command: str, *, common: Common = COMMON) -> int:
    """One command and its outcome."""
    with common.client() as client:
        found = client.command(command)
    if common.json:
        out.show_json(found)
        return out.DONE
    return _ended(found)


def logs(device: str, app: str, service: str, *, lines: int = 200, wait: int = WAIT_S, common: Common = COMMON) -> int:
    """The last lines of a service, fetched from the device now."""
    return command_send(device, "logs", app=app, service=service, lines=lines, wait=wait, common=common)
