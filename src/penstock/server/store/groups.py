"""Groups of devices, and who is in them now: their rows. Who belongs in is decided by `core.groups`; here it is only kept, so that queries can ask."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import delete, func, select

from penstock.server.core.groups import Group
from penstock.server.core.rights import GROUP, Reach
from penstock.server.store.db import Tx
from penstock.server.store.reach import inside
from penstock.server.store.rows import compare_and_set, noun, nouns, row_of
from penstock.server.store.tables import api_tokens, bindings, deployments, devices, group_members, plans
from penstock.server.store.tables import groups as t

CHUNK = 500


def add(tx: Tx, group: Group) -> None:
    """A new one, nobody in it yet."""
    tx.run(t.insert(), [row_of(group)])


def find(tx: Tx, reach: Reach, group: str) -> Group | None:
    """By id or name, if it lies inside."""
    return noun(Group, tx.run(select(t).where((t.c.id == group) | (t.c.name == group), *inside(reach, group=t.c.id))).first())


def all_in(tx: Tx, reach: Reach) -> tuple[Group, ...]:
    """All, by name."""
    return nouns(Group, tx.run(select(t).where(*inside(reach, group=t.c.id)).order_by(t.c.name)))


def change(tx: Tx, group: Group, revision: int, **values: Any) -> int:
    """Compare and set; the new revision."""
    return compare_and_set(tx, t, t.c.id == group.id, revision, "group", values)


def drop(tx: Tx, group: Group, revision: int) -> None:
    """Forget it and who was in it, if it is still at `revision`. Raises Stale."""
    compare_and_set(tx, t, t.c.id == group.id, revision, "group", {})
    tx.run(delete(group_members).where(group_members.c.group == group.id))
    tx.run(delete(t).where(t.c.id == group.id))


# --- who is in ----------------------------------------------------------------------------------------------------------


def groups_of(tx: Tx, device: str) -> frozenset[str]:
    """The ids of the groups a device is in."""
    return frozenset(tx.run(select(group_members.c.group).where(group_members.c.device == device)).scalars())


def members_of(tx: Tx, groups: Iterable[str]) -> dict[str, frozenset[str]]:
    """Of each of these groups the ids of the devices in it."""
    wanted = sorted(set(groups))
    found: dict[str, set[str]] = {group: set() for group in wanted}
    for row in tx.run(select(group_members).where(group_members.c.group.in_(wanted))) if wanted else ():
        found[row.group].add(row.device)
    return {group: frozenset(members) for group, members in found.items()}


def put_devices(tx: Tx, memberships: Mapping[str, frozenset[str]]) -> None:
    """Each of these devices is in exactly these groups."""
    wanted = sorted(memberships)
    for at in range(0, len(wanted), CHUNK):
        tx.run(delete(group_members).where(group_members.c.device.in_(wanted[at : at + CHUNK])))
    tx.insert(group_members, [{"group": group, "device": device} for device in wanted for group in sorted(memberships[device])])


def put_members(tx: Tx, group: str, members: Iterable[str]) -> None:
    """Exactly these devices are in a group."""
    wanted, have = set(members), members_of(tx, [group])[group]
    gone = sorted(have - wanted)
    for at in range(0, len(gone), CHUNK):
        tx.run(delete(group_members).where(group_members.c.group == group, group_members.c.device.in_(gone[at : at + CHUNK])))
    tx.insert(group_members, [{"group": group, "device": device} for device in sorted(wanted - have)])


def counts(tx: Tx, reach: Reach) -> dict[str, int]:
    """Per group the devices in it that lie inside."""
    query = (
        select(group_members.c.group, func.count())
        .select_from(group_members.join(devices, devices.c.id == group_members.c.device))
        .where(*inside(reach, site=devices.c.site, device=devices.c.id))
        .group_by(group_members.c.group)
    )
    return {str(group): int(number) for group, number in tx.run(query)}


# --- what names a group -------------------------------------------------------------------------------------------------


def giving(tx: Tx, now_ms: int) -> dict[str, frozenset[str]]:
    """The groups that rights hang on, with the names of the roles: those given on them, and those that a token which still works was narrowed to there."""
    found: dict[str, set[str]] = {}
    for group, role in tx.run(select(bindings.c.part, bindings.c.role).where(bindings.c.part_kind == GROUP)):
        found.setdefault(group, set()).add(role)
    for _, only in _narrowed(tx, now_ms):
        for role, kind, part in only:
            if kind == GROUP:
                found.setdefault(part, set()).add(role)
    return {group: frozenset(roles) for group, roles in found.items()}


def _narrowed(tx: Tx, now_ms: int) -> list[tuple[str, Any]]:
    c = api_tokens.c
    rows = tx.run(select(c.name, c.only).where(c.revoked_ms == 0, c.expires_ms > now_ms).order_by(c.name))
    return [(row.name, row.only) for row in rows if row.only]


def tokens_on(tx: Tx, group: str, now_ms: int) -> tuple[str, ...]:
    """The names of the API tokens that were narrowed to a group and still work."""
    return tuple(name for name, only in _narrowed(tx, now_ms) if any((kind, part) == (GROUP, group) for _, kind, part in only))


def deployed_to(tx: Tx, group: str, state: str) -> tuple[str, ...]:
    """The ids of the deployments in `state` whose newest plan is for a group, oldest first."""
    query = (
        select(deployments.c.id)
        .select_from(deployments.join(plans, (plans.c.deployment == deployments.c.id) & (plans.c.version == deployments.c.plan)))
        .where(plans.c.group == group, deployments.c.state == state)
        .order_by(deployments.c.created_ms, deployments.c.id)
    )
    return tuple(tx.run(query).scalars())
