"""Rollouts in motion: what `core.staged.decide` says, carried out; and deployments matched with devices again when either changes.

Owns the only places where assignments, members and leaves are written. Each call is one transaction's part, idempotent, and bounded: large
rollouts are worked through in chunks by the reconciler. Never decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from penstock.server.actions import catalog, fitting, states, valued
from penstock.server.actions import planesettings as plane_settings
from penstock.server.actions.context import Plane, note, seal, tell
from penstock.server.actions.membership import regroup
from penstock.server.actions.remembering import remember
from penstock.server.core.assign import Moves, claims, describe_conflict, moves
from penstock.server.core.errors import Conflict, Refused
from penstock.server.core.model import (
    DONE,
    FAILED,
    LEFT_OUT,
    ORDERED,
    PENDING,
    PINNED,
    RUNNING,
    SETTLED,
    STANDING,
    STOPPED,
    SUPERSEDED,
    SYSTEM,
    Actor,
    Assignment,
    Deployment,
    Leave,
    LeaveId,
    Member,
    Plan,
    Rollout,
    RolloutId,
)
from penstock.server.core.rights import EVERYWHERE
from penstock.server.core.rollout import Decision, Standing
from penstock.server.core.staged import decide
from penstock.server.store import deployments, devices, groups, observations, receipts, releases, status
from penstock.server.store import rollouts as store
from penstock.server.store import states as state_store
from penstock.server.store.db import Tx
from penstock.wire.codec import encode
from penstock.wire.messages import Authorisation
from penstock.wire.version import WIRE

CHUNK = 250
INLINE = 64


# --- one step -----------------------------------------------------------------------------------------------------------


def step(plane: Plane, tx: Tx, rollout: Rollout, among: Sequence[str]) -> Decision:
    """Decide one rollout, looking at these of its members, and carry it out."""
    members = {member.device: member for member in store.members_of(tx, rollout.id, list(among))}
    names = sorted(members)
    found = devices.lean(tx, names)
    seen = observations.seen_of(tx, rollout.app, names)
    outcomes = receipts.outcomes_of(tx, names, rollout.app)
    given = state_store.given_in(tx, rollout.id, names)
    said = status.adopted(tx, names)
    held = state_store.heads(tx, names)
    standings = []
    for name in names:
        device, document = found[name], held.get(name)
        epoch, generation, liveness = said.get(name, (0, 0, "never"))
        adopted = document is not None and (epoch, generation) >= (document.epoch, document.generation)
        standings.append(
            Standing(
                members[name],
                device.state,
                device.review,
                adopted,
                seen.get(name),
                outcomes.get((name, rollout.app)),
                given.get(name),
                liveness,
            )
        )
    now = plane.clock.now_ms()
    settings = plane_settings.read(plane, tx)
    # A finished rollout is looked at again when one of its devices says something new: it may have lost what it had, or have again what was withdrawn.
    judged = replace(rollout, state=RUNNING) if rollout.state == DONE else rollout
    decision = decide(judged, store.tally(tx, rollout.id), standings, now, settings.leave_s)
    _carry_out(plane, tx, rollout, decision, members, {name: given[name].id for name in decision.renew})
    return decision


def _carry_out(plane: Plane, tx: Tx, rollout: Rollout, decision: Decision, members: dict[str, Member], prolonged: dict[str, str]) -> None:
    now = plane.clock.now_ms()
    store.put_members(tx, list(decision.members))
    ordered = [members[name] for name in decision.order]
    store.assign(
        tx,
        [Assignment(one.device, one.app, rollout.deployment, rollout.plan, rollout.id, one.content, one.values_at) for one in ordered if one.content],
    )
    store.unassign(tx, [(one.device, one.app) for one in ordered if not one.content])
    renewed = [(name, rollout.app) for name in (*decision.grant, *decision.revoke)]
    state_store.drop_leaves(tx, renewed)
    plan = deployments.plan(tx, rollout.deployment, rollout.plan) if decision.grant else None
    by = plan.made_by if plan is not None else rollout.deployment
    leaves = []
    for name, content in decision.grant.items():
        ident = LeaveId(prolonged.get(name) or plane.ids.new("lev"))
        leaves.append(_leave(plane, rollout, ident, members[name], content, now, decision.not_after_ms, by))
    state_store.add_leaves(tx, leaves)
    states.owe(plane, tx, sorted({*decision.order, *decision.grant, *decision.revoke}))
    fresh = replace(
        rollout,
        wave=max(rollout.wave, decision.wave),
        state=decision.state,
        why=decision.why,
        ended_ms=0 if decision.state == RUNNING else rollout.ended_ms or now,
    )
    if fresh != rollout:
        store.change(tx, rollout.id, wave=fresh.wave, state=fresh.state, why=fresh.why, ended_ms=fresh.ended_ms)
        if fresh.state != rollout.state:
            note(
                plane,
                tx,
                SYSTEM,
                f"rollout.{fresh.state}",
                rollout.id,
                app=rollout.app,
                outcome=fresh.state,
                reason=fresh.why,
                data={"deployment": rollout.deployment},
                topics=[("deployments", rollout.deployment)],
            )
    if decision.members or fresh != rollout:
        tell(plane, tx, [(f"rollout/{rollout.id}", rollout.id), ("deployments", rollout.deployment)])
    for member in decision.members:
        if member.state in (FAILED, PINNED) and members[member.device].state != member.state:
            note(
                plane,
                tx,
                SYSTEM,
                f"rollout.member-{member.state}",
                member.device,
                app=member.app,
                outcome=member.state,
                reason=member.why,
                data={"rollout": rollout.id, "app": member.app},
                topics=[(f"device/{member.device}", member.device)],
            )


def _leave(plane: Plane, rollout: Rollout, ident: LeaveId, member: Member, content: str, now: int, not_after_ms: int, by: str) -> Leave:
    said = Authorisation(WIRE, ident, member.device, plane.epoch, member.app, content, rollout.id, member.wave, now, not_after_ms, by=by)
    envelope = seal(plane, "authorisation", encode(said))
    return Leave(ident, member.device, member.app, content, rollout.id, member.wave, now, not_after_ms, envelope)


def tick(plane: Plane, rollout: str, among: Sequence[str] | None = None) -> Decision | None:
    """One rollout, in chunks of their own transactions: these devices, or all that are not settled. The last chunk's decision."""

    def names(tx: Tx) -> list[str]:
        if among is not None:
            return list(among)
        return [member.device for member in store.members_of(tx, rollout) if member.state not in SETTLED]

    todo = plane.db.view(names)
    decision: Decision | None = None
    again: list[int] = []
    for at in range(0, max(1, len(todo)), CHUNK):
        part = todo[at : at + CHUNK]

        def work(tx: Tx, part: list[str] = part) -> Decision | None:
            found = store.by_id(tx, rollout)
            if found is None or found.state in (STOPPED, SUPERSEDED):
                return None
            return step(plane, tx, found, part)

        decision = plane.db.update(work)
        if decision is not None and decision.again_ms:
            again.append(decision.again_ms)
    if among is None:
        plane.due[rollout] = min(again, default=0)
    return decision


def tick_dirty(plane: Plane) -> int:
    """Look at every rollout that devices with news are part of; how many devices had news."""
    with plane.dirty_lock:
        dirty, plane.dirty = plane.dirty, set()
    if not dirty:
        return 0
    names = sorted(dirty)

    def concerned(tx: Tx) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for member, rollout in store.concerned(tx, names):
            found.setdefault(rollout, []).append(member)
        return found

    for rollout, part in plane.db.view(concerned).items():
        tick(plane, rollout, part)
    reconsider(plane, names)
    return len(names)


def reconsider(plane: Plane, names: list[str]) -> None:
    """These devices say something new: what they were left out of for want of room, for a clash with an app that has gone since, or for what they did not know,
    is judged again. Who can have it now gets it; who cannot is told the reason of today."""
    for ident, part in plane.db.view(lambda tx: store.left_out(tx, names)).items():

        def work(tx: Tx, ident: str = ident, part: list[str] = part) -> None:
            rollout = store.by_id(tx, ident)
            if rollout is None or rollout.state == STOPPED:
                return
            deployment = deployments.find(tx, rollout.deployment)
            plan = deployments.plan(tx, rollout.deployment, rollout.plan)
            if deployment is None or plan is None or deployment.state != STANDING or store.of_deployment(tx, deployment.id)[0].id != ident:
                return
            found = _contents(plane, tx, plan, part)
            known = {member.device: member.why for member in store.members_of(tx, ident, part)}
            if found.contents or any(known[device] != why[:1000] for device, why in found.unfit.items()):
                settle(plane, tx, SYSTEM, deployment.app)

        plane.db.update(work)


def tick_running(plane: Plane, *, everything: bool = False) -> int:
    """Look at all of every running rollout that is due (leaves to renew, a wave to open, just begun); how many run."""
    found = plane.db.view(store.running)
    now = plane.clock.now_ms()
    for rollout in found:
        # What devices say is looked at as it comes; all members only when time itself changes something.
        due = plane.due.get(rollout.id, -1)
        if everything or due < 0 or 0 < due <= now:
            tick(plane, rollout.id)
    plane.due = {rollout.id: plane.due[rollout.id] for rollout in found if rollout.id in plane.due}
    return len(found)


# --- deployments against devices ----------------------------------------------------------------------------------------


def settle(plane: Plane, tx: Tx, actor: Actor, app: str, fresh: Deployment | None = None, reason: str = "") -> Rollout | None:
    """Match all deployments of an app with the devices there are. `fresh` has a new plan (or was withdrawn) and gets a rollout of its own;
    others only gain and lose devices. The rollout of `fresh`."""
    labels = [(device, given) for device, _, _, given in devices.labels(tx, EVERYWHERE)]
    living = {device for device, _ in labels}
    standing = deployments.all_of(tx, app, STANDING)
    plans = {found.deployment: found for found in deployments.newest_plans(tx).values() if any(one.id == found.deployment for one in standing)}
    assigned = store.assigned_app(tx, app)
    gone = [(device, app) for device in assigned if device not in living]
    store.unassign(tx, gone)
    assigned = {device: one for device, one in assigned.items() if device in living}
    members = groups.members_of(tx, {plan.target.group for plan in plans.values()})
    found = claims(standing, plans, labels, assigned, members)
    taken = {device for held in found.held.values() for device in held}
    names = {device: name for device, name, _, _ in devices.labels(tx, EVERYWHERE)}
    everybody = {one.id: one for one in standing}
    if fresh is not None:
        everybody.setdefault(fresh.id, fresh)
    started = None
    for deployment in everybody.values():
        conflict = describe_conflict(found.conflicts.get(deployment.id, ()), names)
        if conflict != deployment.conflict:
            deployments.mark(tx, deployment.id, conflict=conflict)
        mine = {device: one for device, one in assigned.items() if one.deployment == deployment.id}
        dropped = tuple(device for device in mine if device not in taken)
        held = found.held.get(deployment.id, ())
        if fresh is not None and deployment.id == fresh.id:
            started = _begin(plane, tx, actor, fresh, plans.get(fresh.id), held, mine, dropped, reason)
        else:
            _adjust(plane, tx, deployment, plans[deployment.id], held, mine, dropped)
    return started


@dataclass(frozen=True, slots=True)
class Wanted:
    """What devices shall run: device to content; device to the reason it cannot; and as of which line of the history of values."""

    contents: dict[str, str]
    unfit: dict[str, str]
    at: int


NOBODY = Wanted({}, {}, 0)


def _contents(plane: Plane, tx: Tx, plan: Plan, held: Iterable[str]) -> Wanted:
    names = list(held)
    found = devices.lean(tx, names)
    release, _ = catalog.release_of(plane, tx, plan.release)
    levels = valued.newest(plane, tx, release.app)
    beside = fitting.beside(plane, tx, names)
    wanted, unfit = {}, {}
    for name in names:
        why = catalog.unfit(release, found[name])
        if why:
            unfit[name] = why
            continue
        try:
            filled = catalog.fill(plane, tx, plan, found[name], levels)
        except Refused as refusal:
            unfit[name] = refusal.why
            continue
        why = fitting.refusal(plane, release, filled, found[name], beside[name])
        if why:
            unfit[name] = why
        else:
            wanted[name] = filled.content
    made = {content: {"content": content, "app": release.app, "deployment": plan.deployment, "plan": plan.version} for content in wanted.values()}
    now = plane.clock.now_ms()
    store.know(tx, [{**row, "version": release.version, "made_ms": now} for row in made.values()])
    return Wanted(wanted, unfit, levels.at)


def _begin(
    plane: Plane,
    tx: Tx,
    actor: Actor,
    deployment: Deployment,
    plan: Plan | None,
    held: Sequence[str],
    mine: dict[str, Assignment],
    dropped: Sequence[str],
    reason: str,
) -> Rollout:
    now = plane.clock.now_ms()
    wanted = _contents(plane, tx, plan, held) if plan is not None and deployment.state == STANDING else NOBODY
    former = store.of_deployment(tx, deployment.id)
    given_by = {one.rollout for one in mine.values()}
    stands = {
        member.device: member.state for old in given_by for member in store.members_of(tx, old) if member.device in mine and mine[member.device].rollout == old
    }
    moved: Moves = moves(wanted.contents, mine, stands)
    for old in former:
        if old.state == RUNNING:
            _supersede(plane, tx, old)
    rollout = Rollout(RolloutId(plane.ids.new("rol")), deployment.id, deployment.app, deployment.plan, RUNNING, "begins", 1, 0, now)
    store.add(tx, rollout)
    store.assign(tx, [replace(mine[device], plan=deployment.plan, values_at=wanted.at) for device in moved.same])
    _enlist(tx, rollout, replace(wanted, contents=moved.move), dropped, now)
    note(
        plane,
        tx,
        actor,
        "rollout.started",
        rollout.id,
        app=deployment.app,
        reason=reason,
        data={
            "deployment": deployment.id,
            "app": deployment.app,
            "devices": str(len(moved.move)),
            "withdrawn": str(len(dropped)),
            "unchanged": str(len(moved.same)),
        },
        topics=[("deployments", deployment.id)],
    )
    states.owe(plane, tx, list(moved.same))
    go(plane, tx, rollout, [*moved.move, *dropped])
    return rollout


def go(plane: Plane, tx: Tx, rollout: Rollout, names: Sequence[str]) -> None:
    """The first step at once where it is small, by the reconciler where it is not."""
    if len(names) <= INLINE:
        step(plane, tx, rollout, names)
    else:

        def begun() -> None:
            plane.due.pop(rollout.id, None)
            plane.poke("rollouts-all")

        tx.after(begun)


def _enlist(tx: Tx, rollout: Rollout, wanted: Wanted, dropped: Sequence[str], now: int) -> None:
    wave, move, unfit = max(1, rollout.waves), wanted.contents, wanted.unfit
    many = [Member(rollout.id, device, rollout.app, wave, content, PENDING, "its wave is not open yet", now, wanted.at) for device, content in move.items()]
    many += [Member(rollout.id, device, rollout.app, wave, "", PENDING, "to be withdrawn", now) for device in dropped]
    many += [Member(rollout.id, device, rollout.app, wave, "", LEFT_OUT, why[:1000], now) for device, why in unfit.items()]
    # A withdrawal that is not carried out yet must not go on giving leave to remove what is ordered anew.
    over = store.unsettled_elsewhere(tx, rollout.id, rollout.app, [*move, *dropped])
    store.put_members(tx, [replace(member, state=LEFT_OUT, why="a newer rollout of the same app came first on this device", changed_ms=now) for member in over])
    store.put_members(tx, many)


def _adjust(plane: Plane, tx: Tx, deployment: Deployment, plan: Plan, held: Sequence[str], mine: dict[str, Assignment], dropped: Sequence[str]) -> None:
    """Devices that came to a deployment or left it, without a new plan: they join its newest rollout."""
    former = store.of_deployment(tx, deployment.id)
    if not former:
        return
    rollout = former[0]
    known = {member.device: member for member in store.members_of(tx, rollout.id)}
    new = [device for device in held if device not in mine and (device not in known or not known[device].content)]
    if not new and not dropped:
        return
    found = _contents(plane, tx, plan, new)
    unfit = {device: why for device, why in found.unfit.items() if device not in known or known[device].why != why[:1000]}
    wanted = found.contents
    _enlist(tx, rollout, replace(found, unfit=unfit), dropped, plane.clock.now_ms())
    if (wanted or dropped) and rollout.state == DONE:
        store.change(tx, rollout.id, state=RUNNING, ended_ms=0)
        rollout = replace(rollout, state=RUNNING, ended_ms=0)
    go(plane, tx, rollout, [*wanted, *dropped])


def _supersede(plane: Plane, tx: Tx, rollout: Rollout) -> None:
    now = plane.clock.now_ms()
    over = [
        replace(member, state=LEFT_OUT, why="a newer rollout of the same deployment came first", changed_ms=now)
        for member in store.members_of(tx, rollout.id)
        if member.state not in SETTLED
    ]
    store.put_members(tx, over)
    state_store.drop_leaves(tx, [(member.device, member.app) for member in over])
    store.change(tx, rollout.id, state=SUPERSEDED, why="a newer rollout of the same deployment came first", ended_ms=now)
    states.owe(plane, tx, [member.device for member in over])


def retarget(plane: Plane, tx: Tx, actor: Actor, changed: Sequence[str]) -> None:
    """Devices came, went or have other labels: see which groups they are in now, and match every app that stands with the fleet again."""
    if not changed:
        return
    regroup(tx, devices=changed)
    for app in sorted({deployment.app for deployment in deployments.all_of(tx, state=STANDING)}):
        settle(plane, tx, actor, app)
        revalue(plane, tx, app, changed)


def follow_engines(plane: Plane, tx: Tx, changed: Iterable[str]) -> None:
    """Devices said something new of themselves, or other hardware took their place: those that have now an engine with another part of a release get that.
    Where it cannot stand there, what was ordered stays, without leave to apply anything else, and it is noted."""
    wanted = sorted(set(changed))
    parted: frozenset[str] = remember(plane, ("parted", releases.count(tx, None)), lambda: (releases.apps_in_parts(tx),))[0] if wanted else frozenset()
    if not parted:
        return
    for app in sorted(parted):
        revalue(plane, tx, app, wanted, strict=False)
    owed = store.assigned_to(tx, wanted)
    # What was ordered may be the same as before while the document is not: it was made when nothing was known of the engine.
    states.owe(plane, tx, [device for device in wanted if any(one.app in parted for one in owed[device])])


def revalue(plane: Plane, tx: Tx, app: str, concerned: Iterable[str], *, strict: bool = True) -> tuple[str, ...]:
    """What these devices shall run of an app may have changed without a new plan (a value at a level, their labels or site): those for which it has join the
    newest rollout of their deployment anew; they are given back. A rollout that was stopped stays so: its devices keep what they have until the deployment is
    changed. Raises Conflict for a device that has the app and could not be given what results: groups that disagree, a label that a value asks for; that is
    only noted where it is not `strict`."""
    wanted = set(concerned)
    assigned = store.assigned_to(tx, sorted(wanted))
    moved: list[str] = []
    for deployment in deployments.all_of(tx, app, STANDING):
        plan = deployments.plan(tx, deployment.id, deployment.plan)
        former = store.of_deployment(tx, deployment.id)
        if plan is None or not former or former[0].state == STOPPED:
            continue
        rollout = former[0]
        mine = {device: one for device, owed in assigned.items() for one in owed if one.deployment == deployment.id}
        known = {member.device: member for member in store.members_of(tx, rollout.id, sorted(wanted))}
        names = sorted({*mine, *(device for device, one in known.items() if one.content or one.state == LEFT_OUT)})
        if not names:
            continue
        found = _contents(plane, tx, plan, names)
        if strict:
            _refuse_lost(plane, tx, deployment, plan, mine, found)
        else:
            _note_lost(plane, tx, deployment, mine, found)
        now = {device: _ordered(known.get(device), mine.get(device)) for device in names}
        change = {device: content for device, content in found.contents.items() if content != now[device]}
        if not change:
            continue
        _enlist(tx, rollout, Wanted(change, {}, found.at), (), plane.clock.now_ms())
        if rollout.state == DONE:
            store.change(tx, rollout.id, state=RUNNING, ended_ms=0)
            rollout = replace(rollout, state=RUNNING, ended_ms=0)
        go(plane, tx, rollout, sorted(change))
        moved += change
    return tuple(sorted(moved))


def _refuse_lost(plane: Plane, tx: Tx, deployment: Deployment, plan: Plan, mine: dict[str, Assignment], found: Wanted) -> None:
    for device in sorted(found.unfit.keys() & mine.keys()):
        lean = devices.lean(tx, [device])[device]
        try:
            catalog.fill(plane, tx, plan, lean)
        except Refused as refusal:
            raise Conflict(
                "value-does-not-fit",
                f"on {lean.name}, which has {deployment.name}: {refusal.why}",
                remedy=refusal.remedy or "give that device a value of its own first",
            ) from None


def _note_lost(plane: Plane, tx: Tx, deployment: Deployment, mine: dict[str, Assignment], found: Wanted) -> None:
    for device in sorted(found.unfit.keys() & mine.keys()):
        why = f"what {deployment.name} has for its engine cannot stand there: {found.unfit[device]}"
        note(plane, tx, SYSTEM, "device.document-failed", device, app=deployment.app, outcome="failed", reason=why, topics=[(f"device/{device}", device)])


def _ordered(member: Member | None, assigned: Assignment | None) -> str:
    """The content a device was meant to run last: by its rollout, if that is not over for it."""
    if member is not None and member.content and member.state != LEFT_OUT:
        return member.content
    return assigned.content if assigned is not None else ""


def begin_again(plane: Plane, tx: Tx, device: str) -> None:
    """Everything a device is owed is to be applied anew (new hardware, or accepted after a restore): its members are unsettled again."""
    now = plane.clock.now_ms()
    for assignment in store.assigned_to(tx, [device])[device]:
        rollout = store.by_id(tx, assignment.rollout)
        if rollout is None or rollout.state == STOPPED:
            continue
        wave = next((member.wave for member in store.members_of(tx, rollout.id, [device])), max(1, rollout.waves))
        store.put_members(
            tx, [Member(rollout.id, assignment.device, assignment.app, wave, assignment.content, ORDERED, "ordered anew", now, assignment.values_at)]
        )
        if rollout.state != RUNNING:
            store.change(tx, rollout.id, state=RUNNING, ended_ms=0)
        step(plane, tx, replace(rollout, state=RUNNING, ended_ms=0, wave=max(wave, rollout.wave)), [device])
