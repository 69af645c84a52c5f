"""Rollouts, their members, what each device is assigned, and which contents this plane has ever made."""

from __future__ import annotations

from typing import Any

from sqlalchemy import and_, delete, false, func, select, tuple_

from penstock.server.core.model import DONE, LEFT_OUT, REMOVED, RUNNING, SETTLED, Assignment, Member, Rollout
from penstock.server.core.rights import Reach
from penstock.server.store.db import Tx
from penstock.server.store.reach import inside
from penstock.server.store.rows import noun, nouns, row_of
from penstock.server.store.tables import assignments, contents, device_status, devices, members, observations
from penstock.server.store.tables import rollouts as t

_CHUNK = 400


def add(tx: Tx, rollout: Rollout) -> None:
    """A new one."""
    tx.run(t.insert(), [row_of(rollout)])


def by_id(tx: Tx, rollout: str) -> Rollout | None:
    """The rollout of that id."""
    return noun(Rollout, tx.run(select(t).where(t.c.id == rollout)).first())


def of_deployment(tx: Tx, deployment: str) -> tuple[Rollout, ...]:
    """A deployment's, newest first."""
    return nouns(Rollout, tx.run(select(t).where(t.c.deployment == deployment).order_by(t.c.started_ms.desc(), t.c.id.desc())))


def page_of(tx: Tx, deployment: str, after: tuple[int, str] | None, limit: int) -> tuple[Rollout, ...]:
    """One page of a deployment's, newest first; `after` is (started_ms, id) of the last one shown."""
    query = select(t).where(t.c.deployment == deployment)
    if after is not None:
        query = query.where(tuple_(t.c.started_ms, t.c.id) < tuple_(*after))
    return nouns(Rollout, tx.run(query.order_by(t.c.started_ms.desc(), t.c.id.desc()).limit(limit)))


def newest(tx: Tx) -> dict[str, Rollout]:
    """The newest rollout of every deployment."""
    found: dict[str, Rollout] = {}
    for rollout in nouns(Rollout, tx.run(select(t).order_by(t.c.started_ms, t.c.id))):
        found[rollout.deployment] = rollout
    return found


def running(tx: Tx) -> tuple[Rollout, ...]:
    """All that still move, oldest first."""
    return nouns(Rollout, tx.run(select(t).where(t.c.state == RUNNING).order_by(t.c.started_ms, t.c.id)))


def change(tx: Tx, rollout: str, **values: Any) -> None:
    """Set columns."""
    tx.run(t.update().where(t.c.id == rollout).values(**values))


# --- members ------------------------------------------------------------------------------------------------------------


def put_members(tx: Tx, many: list[Member]) -> None:
    """Write members, new or changed."""
    tx.upsert(members, [row_of(one) for one in many])


def members_of(tx: Tx, rollout: str, among: list[str] | None = None) -> tuple[Member, ...]:
    """A rollout's members, or those of these devices."""
    if among is None:
        return nouns(Member, tx.run(select(members).where(members.c.rollout == rollout)))
    found: list[Member] = []
    for at in range(0, len(among), _CHUNK):
        found.extend(nouns(Member, tx.run(select(members).where(members.c.rollout == rollout, members.c.device.in_(among[at : at + _CHUNK])))))
    return tuple(found)


def memberships(tx: Tx, device: str) -> tuple[Member, ...]:
    """A device's part in the rollouts its assignments come from, newest rollout first."""
    query = select(members).join(t, t.c.id == members.c.rollout).where(members.c.device == device).order_by(t.c.started_ms.desc(), t.c.id.desc()).limit(200)
    return nouns(Member, tx.run(query))


def running_with(tx: Tx, among: list[str]) -> set[str]:
    """The running rollouts that these devices are part of."""
    found: set[str] = set()
    for at in range(0, len(among), _CHUNK):
        query = select(members.c.rollout).distinct().join(t, t.c.id == members.c.rollout)
        found.update(tx.run(query.where(t.c.state == RUNNING, members.c.device.in_(among[at : at + _CHUNK]))).scalars())
    return found


def _within(reach: Reach) -> list[Any]:
    return inside(reach, site=devices.c.site, device=members.c.device, app=members.c.app)


def counts(tx: Tx, reach: Reach, rollout: str) -> dict[str, int]:
    """How many members stand where, of those inside."""
    query = select(members.c.state, func.count()).join(devices, devices.c.id == members.c.device)
    query = query.where(members.c.rollout == rollout, *_within(reach)).group_by(members.c.state)
    return {str(state): int(number) for state, number in tx.run(query)}


def tally(tx: Tx, rollout: str) -> dict[tuple[int, str], int]:
    """How many members stand where, by (wave, state)."""
    query = select(members.c.wave, members.c.state, func.count()).where(members.c.rollout == rollout).group_by(members.c.wave, members.c.state)
    return {(int(wave), str(state)): int(number) for wave, state, number in tx.run(query)}


def unsettled_elsewhere(tx: Tx, rollout: str, app: str, among: list[str]) -> tuple[Member, ...]:
    """Members of other running rollouts of the same app that are still to do something on these devices."""
    found: list[Member] = []
    for at in range(0, len(among), _CHUNK):
        query = select(members).join(t, t.c.id == members.c.rollout)
        query = query.where(t.c.state == RUNNING, t.c.id != rollout, members.c.app == app, members.c.state.not_in(SETTLED))
        found.extend(nouns(Member, tx.run(query.where(members.c.device.in_(among[at : at + _CHUNK])))))
    return tuple(found)


def concerned(tx: Tx, among: list[str]) -> set[tuple[str, str]]:
    """(device, rollout) for these devices: running rollouts they are part of, those their assignments came from, and withdrawals of what they have
    all the same. A withdrawal that was done on a device has no more to say there, least of all once the device is owed the app anew."""
    found: set[tuple[str, str]] = set()
    for at in range(0, len(among), _CHUNK):
        part = among[at : at + _CHUNK]
        moving = select(members.c.device, members.c.rollout).join(t, t.c.id == members.c.rollout).where(t.c.state == RUNNING, members.c.state != REMOVED)
        found.update((row.device, row.rollout) for row in tx.run(moving.where(members.c.device.in_(part))))
        found.update((row.device, row.rollout) for row in tx.run(select(assignments.c.device, assignments.c.rollout).where(assignments.c.device.in_(part))))
        found.update(_there_again(tx, part))
    return found


def left_out(tx: Tx, among: list[str]) -> dict[str, list[str]]:
    """Rollout to those of these devices that could not be given its app at all."""
    found: dict[str, list[str]] = {}
    for at in range(0, len(among), _CHUNK):
        query = select(members.c.rollout, members.c.device).where(members.c.state == LEFT_OUT, members.c.content == "")
        for row in tx.run(query.where(members.c.device.in_(among[at : at + _CHUNK])).order_by(members.c.rollout, members.c.device)):
            found.setdefault(row.rollout, []).append(row.device)
    return found


def _there_again(tx: Tx, part: list[str]) -> set[tuple[str, str]]:
    """(device, rollout) of withdrawals that were done and whose app these devices say they have, though nobody owes it to them: a machine that was
    set back has again what had been removed. The last that was ordered of the app there counts; where somebody stopped that, it stays as it is."""
    had = select(observations.c.device, observations.c.app).where(observations.c.device.in_(part), observations.c.removed == false())
    owed = and_(assignments.c.device == observations.c.device, assignments.c.app == observations.c.app)
    there = {tuple(row) for row in tx.run(had.outerjoin_from(observations, assignments, owed).where(assignments.c.device.is_(None)))}
    if not there:
        return set()
    query = select(members, t.c.state.label("whole")).join(t, t.c.id == members.c.rollout).where(members.c.device.in_(sorted({device for device, _ in there})))
    last = {(row.device, row.app): row for row in tx.run(query.order_by(members.c.changed_ms, t.c.started_ms, t.c.id))}
    return {(row.device, row.rollout) for key, row in last.items() if key in there and row.state == REMOVED and row.whole in (RUNNING, DONE)}


def page(tx: Tx, reach: Reach, rollout: str, state: str, after: str, limit: int) -> tuple[tuple[Member, str, str, str], ...]:
    """Members with device name, site and liveness, by device id; `after` is the last id shown."""
    query = (
        select(members, devices.c.name.label("device_name"), devices.c.site.label("device_site"), device_status.c.liveness.label("device_liveness"))
        .join(devices, devices.c.id == members.c.device)
        .join(device_status, device_status.c.device == members.c.device)
        .where(members.c.rollout == rollout, members.c.device > after, *_within(reach))
        .order_by(members.c.device)
        .limit(limit)
    )
    if state:
        query = query.where(members.c.state == state)
    found = []
    for row in tx.run(query):
        member = noun(Member, row)
        assert member is not None
        found.append((member, row.device_name, row.device_site, row.device_liveness))
    return tuple(found)


# --- assignments and contents -------------------------------------------------------------------------------------------


def assign(tx: Tx, many: list[Assignment]) -> None:
    """Say what devices are owed."""
    tx.upsert(assignments, [row_of(one) for one in many])


def unassign(tx: Tx, pairs: list[tuple[str, str]]) -> None:
    """Say that devices are not owed these apps: (device, app)."""
    for at in range(0, len(pairs), _CHUNK):
        tx.run(delete(assignments).where(tuple_(assignments.c.device, assignments.c.app).in_(pairs[at : at + _CHUNK])))


def assigned_to(tx: Tx, many: list[str]) -> dict[str, list[Assignment]]:
    """What these devices are owed, by app name."""
    found: dict[str, list[Assignment]] = {device: [] for device in many}
    for at in range(0, len(many), _CHUNK):
        query = select(assignments).where(assignments.c.device.in_(many[at : at + _CHUNK])).order_by(assignments.c.app)
        for one in nouns(Assignment, tx.run(query)):
            found[one.device].append(one)
    return found


def assigned_of(tx: Tx, deployment: str) -> dict[str, Assignment]:
    """Per device: what it is owed by one deployment."""
    return {one.device: one for one in nouns(Assignment, tx.run(select(assignments).where(assignments.c.deployment == deployment)))}


def assigned_app(tx: Tx, app: str) -> dict[str, Assignment]:
    """Per device: who it is owed one app by."""
    return {one.device: one for one in nouns(Assignment, tx.run(select(assignments).where(assignments.c.app == app)))}


def assigned_count(tx: Tx, reach: Reach, deployment: str) -> int:
    """How many devices one deployment holds, of those inside."""
    query = select(func.count()).select_from(assignments.join(devices, devices.c.id == assignments.c.device))
    within = inside(reach, site=devices.c.site, device=assignments.c.device, app=assignments.c.app)
    return int(tx.run(query.where(assignments.c.deployment == deployment, *within)).scalar())


def touching(tx: Tx, reach: Reach) -> set[str]:
    """The deployments that are or were about a device inside, by the members of their rollouts."""
    query = select(t.c.deployment).distinct().join(members, members.c.rollout == t.c.id).join(devices, devices.c.id == members.c.device)
    return set(tx.run(query.where(*inside(reach, site=devices.c.site, device=members.c.device, app=members.c.app))).scalars())


def know(tx: Tx, rows: list[dict[str, Any]]) -> None:
    """Remember contents this plane has made: content, app, deployment, plan, version, made_ms."""
    tx.upsert(contents, rows, ())


def known(tx: Tx, wanted: set[str]) -> dict[str, str]:
    """Which of these contents this plane has made, with their version."""
    found: dict[str, str] = {}
    many = sorted(wanted)
    for at in range(0, len(many), _CHUNK):
        query = select(contents.c.content, contents.c.version).where(contents.c.content.in_(many[at : at + _CHUNK]))
        found.update({row.content: row.version for row in tx.run(query)})
    return found


def plans_of(tx: Tx, wanted: set[str]) -> set[tuple[str, int]]:
    """The deployments and numbers of the plans that made these contents."""
    found: set[tuple[str, int]] = set()
    many = sorted(wanted)
    for at in range(0, len(many), _CHUNK):
        query = select(contents.c.deployment, contents.c.plan).where(contents.c.content.in_(many[at : at + _CHUNK]))
        found.update((row.deployment, row.plan) for row in tx.run(query))
    return found
