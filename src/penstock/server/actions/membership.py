"""Who is in which group: worked out anew whenever something changes it, and who may change it where rights hang on it.

Owns both. A role given on a group is a role on whoever is in it, and a token may be narrowed to one: so whoever brings a device in, or takes it out, changes
who may do what. Groups themselves are `groups`'.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from penstock.server.actions import subjects, visible
from penstock.server.actions.context import Plane
from penstock.server.core import rights
from penstock.server.core.access import REMEDY
from penstock.server.core.errors import Forbidden
from penstock.server.core.groups import Group, memberships, rule_of
from penstock.server.core.model import Actor
from penstock.server.core.rights import EVERYWHERE, Target
from penstock.server.store import devices as device_store
from penstock.server.store import groups as store
from penstock.server.store.db import Tx


def regroup(tx: Tx, *, devices: Iterable[str] = (), group: Group | None = None) -> None:
    """Work out anew the groups of these devices (they came, went, or have other labels), and who is in `group` (it is new, or means others)."""
    wanted = frozenset(devices)
    if wanted:
        living = device_store.labels_of(tx, wanted)
        found = memberships(store.all_in(tx, EVERYWHERE), living.items())
        store.put_devices(tx, {device: found.get(device, frozenset()) for device in wanted})
    if group is not None:
        store.put_members(tx, group.id, members(tx, group))


def members(tx: Tx, group: Group) -> frozenset[str]:
    """The ids of the devices that a group means now."""
    rule = rule_of(group)
    return frozenset(device for device, _, _, labels in device_store.labels(tx, EVERYWHERE) if rule.ways(device, labels))


def groups_with(tx: Tx, labels: Mapping[str, str], device: str = "") -> frozenset[str]:
    """The ids of the groups a device would be in with these labels; a new one without `device`."""
    return memberships(store.all_in(tx, EVERYWHERE), [(device, labels)])[device]


def hanging(plane: Plane, tx: Tx, groups: Iterable[str]) -> tuple[str, ...]:
    """Those of these groups that rights hang on."""
    return tuple(sorted(set(groups) & store.giving(tx, plane.clock.now_ms()).keys()))


def permit(plane: Plane, tx: Tx, actor: Actor, groups: Iterable[str], field: str) -> None:
    """To change who is in a group that rights hang on asks for the right to give rights on the whole fleet, and for all that the roles given there include:
    nobody hands out what they have not. Raises Forbidden."""
    hang = hanging(plane, tx, groups)
    if not hang:
        return
    given = store.giving(tx, plane.clock.now_ms())
    roles = subjects.roles(tx)
    needed = {"access.write"}.union(*(roles[name].verbs & rights.VERBS for group in hang for name in given[group] if name in roles))
    if all(isinstance(rights.may(actor.rights, verb, Target()), rights.Allow) for verb in needed):
        return
    seen = visible.groups_seen(tx, actor)
    names = ", ".join(seen[group].name for group in hang if group in seen)
    raise Forbidden(
        "group-gives-rights",
        f"this changes who is in {f'group {names}' if names else 'a group'}, on which roles are given: "
        "that needs access.write on the whole fleet, and all that those roles include",
        field=field,
        remedy=f"leave who is in that group as it is; or {REMEDY}",
    )
