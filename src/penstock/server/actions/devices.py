"""Devices: the list, one in full, and what people do to them.

Owns reading and the acts on a device itself (labels, name, place, letting it out of quarantine or review, watching). What runs there is
`rollouts`' and `deployments`'; how it leaves is `retiring`'s.
"""

from __future__ import annotations

from penstock.server.actions import membership, projections, rollouts, states, visible
from penstock.server.actions.context import Plane, bounded, make_cursor, note, read_cursor, refresh
from penstock.server.actions.planesettings import read as read_settings
from penstock.server.core.access import permit, require
from penstock.server.core.errors import Conflict, Invalid, missing
from penstock.server.core.liveness import judge
from penstock.server.core.model import ACTIVE, QUARANTINED, RETIRED, Actor, Assignment, Deployment, Device, DeviceStatus, Member, ReceiptRow, Site
from penstock.server.core.outdated import Running, why
from penstock.server.core.rights import EVERYWHERE, Reach, Target, allowed
from penstock.server.core.rights import reach as reach_of
from penstock.server.core.status import badness
from penstock.server.core.targeting import check_labels, matches, parse
from penstock.server.core.views import DeviceApp, DeviceQuery, DeviceRow, DeviceView, FleetCounts, Page
from penstock.server.store import commands, deployments, enrolments, log, observations, receipts, releases, retirements, running, sites, status
from penstock.server.store import devices as store
from penstock.server.store import groups as group_store
from penstock.server.store import rollouts as rollout_store
from penstock.server.store import states as state_store
from penstock.server.store.db import Tx
from penstock.wire.record import replace
from penstock.wire.types import name_fault

SORTS = ("worst", "name", "seen")
# What a page about one device has buttons for.
ACTS = ("devices.write", "devices.command", "devices.quarantine", "devices.retire", "deployments.write", "access.read")


def find(tx: Tx, actor: Actor, device: str, verb: str = "devices.read") -> Device:
    """By id, or by the name of one that is not retired, for `verb`. Raises Missing for what the actor may not see, Forbidden for what it may only see."""
    found = store.find(tx, require(actor, "devices.read"), device)
    if found is None:
        raise missing("device", device)
    if verb != "devices.read":
        permit(actor, verb, visible.target_of(tx, found))
    return found


# --- the list -------------------------------------------------------------------------------------------------------------


def _among(tx: Tx, reach: Reach, query: DeviceQuery) -> tuple[str, ...] | None:
    if not query.label:
        return None
    terms = parse(query.label)
    return tuple(device for device, _, _, labels in store.labels(tx, reach) if matches(terms, labels))


def _checked(tx: Tx, actor: Actor, query: DeviceQuery) -> DeviceQuery:
    """The query with its group by id. Raises Missing for one the actor may not see."""
    return replace(query, group=visible.group(tx, actor, query.group).id) if query.group else query


def _check(query: DeviceQuery) -> None:
    if query.sort not in SORTS:
        raise Invalid("sort-unknown", f"sort is {query.sort[:40]!r}; it must be one of {', '.join(SORTS)}", field="sort")
    if query.state and query.state not in (ACTIVE, QUARANTINED, RETIRED):
        raise Invalid("state-unknown", f"state is {query.state[:40]!r}; it must be active, quarantined or retired", field="state")


def _sites(tx: Tx) -> dict[str, Site]:
    # Of all sites: whoever sees a device sees where it stands.
    return {site.id: site for site in sites.all_in(tx, EVERYWHERE)}


def list_devices(plane: Plane, actor: Actor, *, query: DeviceQuery | None = None, cursor: str = "", limit: int = 50) -> Page[DeviceRow]:
    """Those the query finds, worst first (or by name, or longest unheard first)."""
    reach = require(actor, "devices.read")
    wanted = query or DeviceQuery()
    _check(wanted)
    after = read_cursor(cursor, str if wanted.sort == "name" else int, str)
    most = bounded(plane, limit)

    def work(tx: Tx) -> Page[DeviceRow]:
        places = _sites(tx)
        found = store.page(tx, reach, _checked(tx, actor, wanted), (after[0], after[1]) if after else None, most + 1, _among(tx, reach, wanted))
        runs = running.on_devices(tx, [device.id for device, *_ in found[:most]])
        rows = tuple(DeviceRow(device, places[site], _fresh(plane, state), runs.get(device.id, ())) for device, state, site in found[:most])
        if len(found) <= most:
            return Page(rows)
        last_device, last_status, _ = found[most - 1]
        value = {"worst": badness(last_status), "name": last_device.name, "seen": last_status.seen_ms}[wanted.sort]
        return Page(rows, make_cursor(value, last_device.id))

    return plane.db.view(work)


def _fresh(plane: Plane, found: DeviceStatus) -> DeviceStatus:
    """The row with the newest word on when the device was heard, which is written to the store in batches only."""
    entry = plane.fleet.entries.get(found.device)
    if entry is None or entry.seen_ms <= found.seen_ms:
        return found

    return replace(found, seen_ms=entry.seen_ms)


def count_devices(plane: Plane, actor: Actor, *, query: DeviceQuery | None = None) -> FleetCounts:
    """How many the query finds, by phase, liveness and state."""
    wanted = query or DeviceQuery()
    _check(wanted)
    return plane.db.view(lambda tx: count(tx, actor, wanted))


def count(tx: Tx, actor: Actor, wanted: DeviceQuery) -> FleetCounts:
    """The same inside a transaction, of a query that was checked."""
    reach = require(actor, "devices.read")
    found = store.tally(tx, reach, _checked(tx, actor, wanted), _among(tx, reach, wanted))
    drift = sum(number for key, number in found["drift"].items() if key in ("1", "True"))
    return FleetCounts(
        sum(found["state"].values()),
        found["phase"],
        found["liveness"],
        found["state"],
        drift,
        found["way_back"].get("missing", 0),
        enrolments.count(tx, reach_of(actor.rights, "enrolments.read"), "waiting"),
        found["outdated"]["True"],
    )


# --- one ------------------------------------------------------------------------------------------------------------------


def get_device(plane: Plane, actor: Actor, *, device: str) -> DeviceView:
    """Everything about one device, by id or name."""

    def work(tx: Tx) -> DeviceView:
        found = find(tx, actor, device)
        state = _fresh(plane, status.get(tx, found.id))
        document = state_store.get(tx, found.id)
        runs = running.on_devices(tx, [found.id]).get(found.id, ())
        mine = group_store.groups_of(tx, found.id)
        live = judge(state.seen_ms, read_settings(plane, tx).poll_s, plane.clock.now_ms())
        return DeviceView(
            found,
            _sites(tx)[found.site],
            state,
            live.why,
            _apps(tx, found, runs),
            commands.of_device(tx, found.id, None, 20),
            document.epoch if document else 0,
            document.generation if document else 0,
            log.head(tx, found.id).seq,
            tuple(one for group, one in visible.groups_seen(tx, actor).items() if group in mine),
            retirements.get(tx, found.id),
            runs,
            allowed(actor.rights, ACTS, visible.target_of(tx, found)),
        )

    return plane.db.view(work)


def _apps(tx: Tx, device: Device, runs: tuple[Running, ...]) -> tuple[DeviceApp, ...]:
    now = {one.app: one for one in runs}
    owed: dict[str, Assignment] = {one.app: one for one in rollout_store.assigned_to(tx, [device.id])[device.id]}
    seen = {one.app: one for one in observations.of_device(tx, device.id) if not one.observed.removed or one.app in owed}
    members: dict[str, Member] = {}
    for member in rollout_store.memberships(tx, device.id):
        members.setdefault(member.app, member)
    leaves = {leave.app: leave for leave in state_store.leaves_of(tx, [device.id])[device.id]}
    found = []
    for app in sorted({*owed, *seen}):
        assignment = owed.get(app)
        deployment: Deployment | None = deployments.find(tx, assignment.deployment) if assignment else None
        wanted = ""
        if assignment is not None:
            plan = deployments.plan(tx, assignment.deployment, assignment.plan)
            row = releases.by_id(tx, plan.release) if plan is not None else None
            wanted = row.version if row is not None else ""
        leave = leaves.get(app)
        found.append(
            DeviceApp(app, deployment, wanted, seen.get(app), members.get(app), leave.not_after_ms if leave else 0, why(now[app], wanted) if app in now else "")
        )
    return tuple(found)


def list_receipts(plane: Plane, actor: Actor, *, device: str, cursor: str = "", limit: int = 50) -> Page[ReceiptRow]:
    """A device's receipts, newest first."""
    after = read_cursor(cursor, int, int)
    most = bounded(plane, limit)

    def work(tx: Tx) -> Page[ReceiptRow]:
        found = receipts.of_device(tx, find(tx, actor, device).id, (after[0], after[1]) if after else None, most + 1)
        return Page(found[:most], make_cursor(found[most - 1].branch, found[most - 1].seq) if len(found) > most else "")

    return plane.db.view(work)


def watch(plane: Plane, actor: Actor, *, device: str) -> None:
    """Somebody looks at this device: for a while it gets long polls. Costs the store one read, and nothing is written."""
    found = plane.db.view(lambda tx: find(tx, actor, device))
    plane.fleet.watch(found.id, plane.clock.mono_ms() + plane.limits.watch_ms)


# --- acts -----------------------------------------------------------------------------------------------------------------


def _topics(device: str) -> list[tuple[str, str]]:
    return [(f"device/{device}", device), ("fleet", device)]


def set_labels(plane: Plane, actor: Actor, *, device: str, revision: int, labels: dict[str, str], reason: str = "") -> Device:
    """Other labels, all of them. Groups and deployments with selectors follow at once. Raises Stale, and Forbidden where a group that roles are given on
    would gain or lose it and the actor may not change that."""
    check_labels(labels)

    def work(tx: Tx) -> Device:
        found = find(tx, actor, device, "devices.write")
        comes_or_goes = group_store.groups_of(tx, found.id) ^ membership.groups_with(tx, labels, found.id) if found.state != RETIRED else frozenset()
        membership.permit(plane, tx, actor, comes_or_goes, "labels")
        store.change(tx, found, revision, labels=labels)
        data = {"before": _text(found.labels), "after": _text(labels)}
        note(plane, tx, actor, "device.labels-changed", found.id, site=found.site, reason=reason, data=data, topics=_topics(found.id))
        rollouts.retarget(plane, tx, actor, [found.id])
        return find(tx, actor, found.id)

    return plane.db.update(work)


def _text(labels: dict[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(labels.items()))


def set_name(plane: Plane, actor: Actor, *, device: str, revision: int, name: str, reason: str = "") -> Device:
    """Another name. What already runs there under the old name in a value keeps it until it is deployed anew. Raises Conflict, Stale."""
    fault = name_fault(name)
    if fault:
        raise Invalid("name-malformed", fault, field="name")

    def work(tx: Tx) -> Device:
        found = find(tx, actor, device, "devices.write")
        other = store.by_name(tx, name)
        if other is not None and other.id != found.id:
            raise Conflict("name-taken", f"there is a device named {name} already", field="name")
        store.change(tx, found, revision, name=name)
        note(plane, tx, actor, "device.renamed", found.id, site=found.site, reason=reason, data={"before": found.name, "after": name}, topics=_topics(found.id))
        refresh(plane, tx, [found.id])
        return find(tx, actor, found.id)

    return plane.db.update(work)


def move(plane: Plane, actor: Actor, *, device: str, revision: int, site: str, reason: str = "") -> Device:
    """It stands at another site now: whoever has that one has it, and it learns of that site's local people. Its log and history stay. Takes the right to
    change devices at both. Raises Stale."""

    def work(tx: Tx) -> Device:
        found = find(tx, actor, device, "devices.write")
        there = sites.find(tx, require(actor, "sites.read"), site)
        if there is None:
            raise missing("site", site)
        permit(actor, "devices.write", Target(site=there.id))
        if found.state == RETIRED:
            raise Conflict("device-retired", "the device is retired; there is nothing left to move")
        if there.id == found.site:
            raise Conflict("same-site", f"{found.name} is at {there.name} already", field="site")
        store.change(tx, found, revision, site=there.id, moved=True)
        left = sites.find(tx, EVERYWHERE, found.site)
        data = {"name": found.name, "from": left.name if left is not None else found.site, "to": there.name}
        for place in (found.site, there.id):  # both have it in their record
            note(plane, tx, actor, "device.moved", found.id, site=place, reason=reason, data=data, topics=_topics(found.id))
        refresh(plane, tx, [found.id])
        states.owe(plane, tx, [found.id])
        rollouts.retarget(plane, tx, actor, [found.id])
        return find(tx, actor, found.id)

    return plane.db.update(work)


def release_quarantine(plane: Plane, actor: Actor, *, device: str, revision: int, reason: str) -> Device:
    """Let it go on: its log is taken up from where it now stands, as a new branch, and the break stays on record. If two machines share the key,
    it will be quarantined again: then one of them must enrol anew. Raises Stale."""

    def work(tx: Tx) -> Device:
        found = find(tx, actor, device, "devices.quarantine")
        if found.state != QUARANTINED:
            raise Conflict("not-quarantined", f"the device is {found.state}")
        store.change(tx, found, revision, state=ACTIVE, why="", accept_fork=True)
        note(plane, tx, actor, "device.released", found.id, site=found.site, reason=reason, data={"quarantined": found.why}, topics=_topics(found.id))
        fresh = find(tx, actor, found.id)
        projections.restate(plane, tx, fresh)
        refresh(plane, tx, [found.id])
        plane.later_dirty(tx, found.id)
        tx.after(lambda: plane.released.add(found.id))
        return fresh

    return plane.db.update(work)


def accept_review(plane: Plane, actor: Actor, *, device: str, revision: int, reason: str) -> Device:
    """After a restore: somebody has looked at what this device runs, and it may be changed again. Raises Stale."""

    def work(tx: Tx) -> Device:
        found = find(tx, actor, device, "devices.quarantine")
        if not found.review:
            raise Conflict("no-review", "the device does not wait for a review")
        store.change(tx, found, revision, review="")
        note(plane, tx, actor, "device.review-accepted", found.id, site=found.site, reason=reason, data={"review": found.review}, topics=_topics(found.id))
        fresh = find(tx, actor, found.id)
        projections.restate(plane, tx, fresh)
        rollouts.begin_again(plane, tx, found.id)
        states.owe(plane, tx, [found.id])
        tx.after(lambda: plane.reviewing.discard(found.id))
        return fresh

    return plane.db.update(work)
