"""Handlers for joining, devices, their timelines and commands. Each decodes, calls one action, and shows what it gave."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.apiv1 import devices as shapes
from penstock.apiv1.common import Outcome, Page
from penstock.server.actions import commands, deployments, enrolments, faults, joins, releases, retiring, sites
from penstock.server.actions import devices as actions
from penstock.server.actions import timeline as timelines
from penstock.server.api import present, present_notices, words
from penstock.server.api.frame import Answer
from penstock.server.api.lists import Order, part
from penstock.server.core.errors import Conflict
from penstock.server.core.rights import reach
from penstock.server.core.views import DeviceQuery

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.server.actions.context import Plane
    from penstock.server.api.frame import Call
    from penstock.server.core.model import Actor

FAULTS_SHOWN = 100  # of the worst; the rest is on the page of faults

JOINS: dict[str, Order[shapes.JoinToken]] = {
    "newest": Order(lambda item: item.created_ms, lambda item: item.id, down=True),
    "expires": Order(lambda item: item.expires_ms, lambda item: item.id),
}
ENROLMENTS: dict[str, Order[shapes.Enrolment]] = {
    "newest": Order(lambda item: item.asked_ms, lambda item: item.id, down=True),
    "name": Order(lambda item: item.name, lambda item: item.id),
}


def site_names(plane: Plane) -> Callable[[str], str]:
    """A function from a site's id to its name, for whoever sees something that stands there."""
    names = sites.names(plane)
    return lambda site: names.get(site, site)


def list_joins(call: Call) -> Page[shapes.JoinToken]:
    """Join tokens, without their secrets."""
    name = site_names(call.plane)
    found = joins.list_joins(call.plane, call.actor, site=call.query.site or None)
    now = call.plane.clock.now_ms()
    items = (present.join(item, name(item.site), now) for item in found)
    good = call.query.good
    return part((item for item in items if good in (None, item.good)), call.query, JOINS)


def create_join(call: Call) -> shapes.JoinTokenMade:
    """A join line for one site."""
    made = joins.create_join(
        call.plane,
        call.actor,
        site=call.path["site"],
        uses=call.body.uses,
        expires_s=call.body.valid_s,
        auto_approve=call.body.auto_approve,
        labels=call.body.labels,
        title=call.body.title,
    )
    return shapes.JoinTokenMade(
        id=made.token.id,
        site=site_names(call.plane)(made.token.site),
        join=made.join,
        line=made.line,
        root=made.root,
        uses=made.token.uses,
        expires_ms=made.token.expires_ms,
        auto_approve=made.token.auto_approve,
    )


def revoke_join(call: Call) -> Outcome:
    """A join token lets nobody in any more."""
    joins.revoke_join(call.plane, call.actor, join=call.path["join"])
    return Outcome(said="The join line is revoked; devices already let in stay.")


def list_enrolments(call: Call) -> Page[shapes.Enrolment]:
    """Who asks to be let in."""
    name = site_names(call.plane)
    found = enrolments.list_enrolments(call.plane, call.actor, status=call.query.status)
    site = call.query.site
    items = (present.enrolment(item, name(item.site)) for item in found if site in ("", item.site, name(item.site)))
    return part(items, call.query, ENROLMENTS, lambda item: (item.name, item.facts.hostname, item.fingerprint))


def get_enrolment(call: Call) -> shapes.Enrolment:
    """One request for admission."""
    found = enrolments.get_enrolment(call.plane, call.actor, enrolment=call.path["enrolment"])
    return present.enrolment(found, site_names(call.plane)(found.site))


def approve(call: Call) -> Outcome:
    """Let a device in."""
    body: shapes.Approve = call.body
    if body.fingerprint:
        asked = enrolments.get_enrolment(call.plane, call.actor, enrolment=call.path["enrolment"])
        if plain_print(body.fingerprint) != plain_print(asked.fingerprint):
            raise Conflict(
                "other-fingerprint",
                f"it asks with the fingerprint {asked.fingerprint}, not the one given",
                field="fingerprint",
                remedy="look at the device again; somebody else may be using its name",
            )
    made = enrolments.approve(call.plane, call.actor, enrolment=call.path["enrolment"], name=body.name, labels=body.labels, replace=body.replace)
    return Outcome(said=f"{made.name} is let in as {made.id}.")


def plain_print(text: str) -> str:
    """A fingerprint without the ways people group it."""
    return text.strip().lower().removeprefix("sha256:").translate(str.maketrans("", "", " :-"))


def reject(call: Call) -> Outcome:
    """Turn a device away."""
    enrolments.reject(call.plane, call.actor, enrolment=call.path["enrolment"], reason=call.body.reason)
    return Outcome(said="It is turned away.")


def overview(call: Call) -> shapes.Overview:
    """The fleet in numbers, and what needs a person."""
    return overview_of(call.plane, call.actor)


def overview_of(plane: Plane, actor: Actor) -> shapes.Overview:
    """The fleet in numbers, worst faults first."""
    counts = actions.count_devices(plane, actor, query=DeviceQuery())
    wrong, places, known = faults.overview(plane, actor, limit=FAULTS_SHOWN)
    at = counts.phases.get
    return shapes.Overview(
        devices=counts.devices,
        current=counts.liveness.get("current", 0),
        silent=counts.liveness.get("silent", 0),
        healthy=at("soaked", 0),
        moving=sum(at(phase, 0) for phase in words.MOVING),
        waiting=at("waiting", 0),
        failing=at("failed", 0) + at("reverting", 0),
        idle=at("none", 0),
        quarantined=counts.states.get("quarantined", 0),
        drifted=counts.drift,
        no_way_back=counts.no_way_back,
        outdated=counts.outdated,
        waiting_room=counts.waiting_room,
        sites=sites.count_sites(plane, actor) if reach(actor.rights, "sites.read") else 0,
        releases=releases.count_releases(plane, actor) if reach(actor.rights, "apps.read") else 0,
        deployments=deployments.count_deployments(plane, actor) if reach(actor.rights, "deployments.read") else 0,
        faults=tuple(present_notices.fault(one, places) for one in wrong),
        faults_known=known,
    )


def list_devices(call: Call) -> Page[shapes.DeviceSummary]:
    """Devices, worst first unless asked otherwise."""
    q = call.query
    query = DeviceQuery(
        site=q.site,
        group=q.group,
        phase=q.phase,
        liveness=q.liveness,
        state=q.state,
        drift=q.drift,
        way_back=q.way_back,
        label=q.label,
        text=q.text,
        app=q.app,
        outdated=q.outdated,
        sort=q.sort,
    )
    return present.page(actions.list_devices(call.plane, call.actor, query=query, cursor=q.cursor, limit=q.limit), present.row)


def get_device(call: Call) -> Answer:
    """All there is to know of one device now."""
    found = present.device(actions.get_device(call.plane, call.actor, device=call.path["device"]))
    return Answer(found, revision=found.summary.revision)


def change_device(call: Call) -> Answer:
    """Other labels or another name."""
    body: shapes.DeviceChange = call.body
    revision = call.revision
    device = actions.get_device(call.plane, call.actor, device=call.path["device"]).device.id
    if body.labels is not None:
        revision = actions.set_labels(call.plane, call.actor, device=device, revision=revision, labels=body.labels).revision
    if body.name is not None:
        actions.set_name(call.plane, call.actor, device=device, revision=revision, name=body.name)
    found = present.device(actions.get_device(call.plane, call.actor, device=device))
    return Answer(found, revision=found.summary.revision)


def retire(call: Call) -> Outcome:
    """Take a device out of the fleet for good, at once or by an order to wipe itself first."""
    body: shapes.Retire = call.body
    retiring.retire(call.plane, call.actor, device=call.path["device"], revision=call.revision, reason=body.reason, wipe=body.wipe)
    if body.wipe == "nothing":
        return Outcome(said="It is retired: its key opens nothing any more. Nothing was wiped; what runs there goes on running until somebody stops it.")
    return Outcome(said="It is ordered to wipe itself, and is retired once it has said what it did. Until it hears the order, that can be taken back.")


def keep(call: Call) -> Outcome:
    """Take an order to retire back, while the device has not heard it."""
    found = retiring.cancel(call.plane, call.actor, device=call.path["device"], reason=call.body.reason)
    return Outcome(said=f"{found.name} stays in the fleet; nothing was wiped.")


def move(call: Call) -> Answer:
    """It stands at another site now."""
    actions.move(call.plane, call.actor, device=call.path["device"], revision=call.revision, site=call.body.site, reason=call.body.reason)
    found = present.device(actions.get_device(call.plane, call.actor, device=call.path["device"]))
    return Answer(found, revision=found.summary.revision)


def release_quarantine(call: Call) -> Outcome:
    """Let a quarantined device change things again."""
    actions.release_quarantine(call.plane, call.actor, device=call.path["device"], revision=call.revision, reason=call.body.reason)
    return Outcome(said="It is released from quarantine; its log may go on from where it stands.")


def accept_review(call: Call) -> Outcome:
    """Somebody has looked; the device may change things again."""
    actions.accept_review(call.plane, call.actor, device=call.path["device"], revision=call.revision, reason=call.body.reason)
    return Outcome(said="Accepted; the device gets leave to change things again.")


def timeline(call: Call) -> Page[shapes.TimelineItem]:
    """What happened on a device, newest first."""
    kinds = tuple(kind for kind in call.query.kinds.split(",") if kind)
    found = timelines.timeline(call.plane, call.actor, device=call.path["device"], cursor=call.query.cursor, limit=call.query.limit, kinds=kinds)
    return present.page(found, present.entry)


def list_commands(call: Call) -> Page[shapes.Command]:
    """Commands given to a device, newest first."""
    found = commands.list_commands(call.plane, call.actor, device=call.path["device"], cursor=call.query.cursor, limit=call.query.limit)
    return present.page(found, present.command)


NEEDS = {
    "restart": ("app", "service"),
    "revert": ("app",),
    "logs": ("app", "service", "lines"),
    "inspect": ("app", "service", "what"),
    "prune": (),
    "refresh": (),
    "accept-pin": ("app",),
}


def order(call: Call) -> shapes.Command:
    """Ask something of a device."""
    body: shapes.CommandCreate = call.body
    given = {"app": body.app, "service": body.service, "lines": str(body.lines), "what": body.what}
    arguments = {key: given[key] for key in NEEDS[body.verb] if given[key]}
    return present.command(commands.order(call.plane, call.actor, device=call.path["device"], verb=body.verb, arguments=arguments, expires_s=body.valid_s))


def get_command(call: Call) -> shapes.Command:
    """One command and its outcome."""
    return present.command(commands.get_command(call.plane, call.actor, command=call.path["command"]))
