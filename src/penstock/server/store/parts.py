"""The parts of the fleet a binding can be on, by name: looking one up, and what many are called.

Owns these queries across the tables of groups, sites, devices and apps. Never decides who may see which.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import select

from penstock.server.core.rights import APP, DEVICE, FLEET, GROUP, SITE, Part, Target, target_of
from penstock.server.store.db import Tx
from penstock.server.store.tables import devices, group_members, groups, sites

_TABLES = {GROUP: groups, SITE: sites, DEVICE: devices}
AT_ONCE = 500


def find(tx: Tx, kind: str, which: str) -> Part | None:
    """The part of a kind, by id or name (of a device: the name of one that is not retired). An app is its name, also before its first release."""
    if kind == FLEET:
        return Part(FLEET)
    if kind == APP:
        return Part(APP, which)
    table = _TABLES[kind]
    named = table.c.name == which
    if kind == DEVICE:
        named = named & (devices.c.state != "retired")
    found = tx.run(select(table.c.id).where((table.c.id == which) | named).order_by((table.c.id == which).desc())).scalar()
    return Part(kind, found) if found else None


def targets(tx: Tx, parts: Iterable[Part]) -> dict[Part, Target]:
    """Parts with what each lies in: what rights on them are asked of."""
    found = {part: target_of(part) for part in parts}
    ids = sorted(part.id for part in found if part.kind == DEVICE)
    for at in range(0, len(ids), AT_ONCE):
        some = ids[at : at + AT_ONCE]
        inside: dict[str, set[str]] = {}
        for row in tx.run(select(group_members).where(group_members.c.device.in_(some))):
            inside.setdefault(row.device, set()).add(row.group)
        for row in tx.run(select(devices.c.id, devices.c.site).where(devices.c.id.in_(some))):
            found[Part(DEVICE, row.id)] = Target(site=row.site, device=row.id, groups=frozenset(inside.get(row.id, ())))
    return found


def names(tx: Tx, parts: Iterable[Part]) -> dict[Part, str]:
    """What each is called; one that is gone keeps its id."""
    found = {part: part.id for part in parts}
    for kind, table in _TABLES.items():
        ids = sorted(part.id for part in found if part.kind == kind)
        for at in range(0, len(ids), AT_ONCE):
            for row in tx.run(select(table.c.id, table.c.name).where(table.c.id.in_(ids[at : at + AT_ONCE]))):
                found[Part(kind, row.id)] = row.name
    return found


def all_groups(tx: Tx) -> tuple[tuple[str, str], ...]:
    """(id, name) of every group, by name."""
    return tuple((row.id, row.name) for row in tx.run(select(groups.c.id, groups.c.name).order_by(groups.c.name)))
