"""Groups of devices: make, list, read, change, remove.

Owns these acts. Who is in is worked out by `membership`, in the same transaction; what is deployed to a group follows at once. A group is seen by who has a
role on it or on the whole fleet; its devices, and its deployments, only as far as the asker may see those.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from penstock.server.actions import devices, membership, rollouts, valued, visible
from penstock.server.actions.context import Plane, note
from penstock.server.core import rights
from penstock.server.core.access import permit, require
from penstock.server.core.errors import Conflict, Invalid
from penstock.server.core.groups import Group, check, rule_of
from penstock.server.core.model import STANDING, Actor, Deployment, Target
from penstock.server.core.rights import EVERYWHERE, GROUP, Part
from penstock.server.core.views import DeviceQuery, GroupMember, GroupView, Page
from penstock.server.store import access, deployments, users
from penstock.server.store import devices as device_store
from penstock.server.store import groups as store
from penstock.server.store.db import Tx
from penstock.wire.types import name_fault


def _check_title(title: str) -> None:
    if len(title) > 200:
        raise Invalid("title-too-long", "a title has at most 200 characters", field="title")


def _topics(group: str) -> list[tuple[str, str]]:
    return [("groups", group), ("fleet", group)]


# --- change -------------------------------------------------------------------------------------------------------------


def create_group(plane: Plane, actor: Actor, *, name: str, title: str = "", selector: str = "", named: Sequence[str] = (), reason: str = "") -> Group:
    """A new group of the devices named (ids or names) and of those with the labels the selector means. Raises Conflict for a taken name."""
    permit(actor, "groups.write", rights.Target())
    fault = name_fault(name)
    if fault:
        raise Invalid("name-malformed", fault, field="name")
    _check_title(title)
    selector = selector.strip()
    check(selector, tuple(named))

    def work(tx: Tx) -> Group:
        if store.find(tx, EVERYWHERE, name) is not None:
            raise Conflict("name-taken", f"there is a group named {name} already", field="name", remedy="choose another name, or change that one")
        listed = visible.device_ids(tx, actor, named, "devices") if named else ()
        made = Group(plane.ids.new("grp"), name, title or name, selector, listed, plane.clock.now_ms())
        store.add(tx, made)
        membership.regroup(tx, group=made)
        data = {"name": name, "selector": selector, "devices": _names(tx, listed)}
        note(plane, tx, actor, "group.created", made.id, reason=reason, data=data, topics=_topics(made.id))
        return made

    return plane.db.update(work)


def change_group(
    plane: Plane,
    actor: Actor,
    *,
    group: str,
    revision: int,
    title: str | None = None,
    selector: str | None = None,
    named: Sequence[str] | None = None,
    reason: str = "",
) -> Group:
    """Another title, selector or list; what is not given stays, and so do listed devices that the actor may not see. Deployments for it follow at once.
    Where it changes who is in: raises Forbidden unless the actor may deploy what is deployed to it there, set the values that are set on it, and change what
    hangs on it. Raises Stale."""
    _check_title(title or "")
    if selector is not None:
        selector = selector.strip()
        check(selector, ())

    def work(tx: Tx) -> Group:
        found = visible.group(tx, actor, group, "groups.write")
        before = store.members_of(tx, [found.id])[found.id]
        means = found.selector if selector is None else selector
        listed = found.devices if named is None else _listed(tx, actor, found, named)
        check(means, listed)
        store.change(tx, found, revision, title=found.title if title is None else title or found.name, selector=means, devices=listed)
        fresh = visible.group(tx, actor, found.id)
        after = membership.members(tx, fresh)
        if (means, listed) != (found.selector, found.devices):
            _follow(plane, tx, actor, found, fresh, before ^ after)
        data = {
            "name": found.name,
            "before": found.selector,
            "after": means,
            "came": _names(tx, after - before),
            "went": _names(tx, before - after),
            "title": fresh.title,
        }
        note(plane, tx, actor, "group.changed", found.id, reason=reason, data=data, topics=_topics(found.id))
        return fresh

    return plane.db.update(work)


def _listed(tx: Tx, actor: Actor, found: Group, named: Sequence[str]) -> tuple[str, ...]:
    """The devices named, and those of the former list that the actor cannot see and therefore does not mean to leave out."""
    unseen = device_store.seen(tx, EVERYWHERE, found.devices) - _seen(tx, actor, found.devices)
    wanted = visible.device_ids(tx, actor, named, "devices") if named else ()
    return tuple(sorted({*wanted, *unseen}))


def _follow(plane: Plane, tx: Tx, actor: Actor, found: Group, fresh: Group, moved: Iterable[str]) -> None:
    """What hangs on a group follows who is in it, as far as the actor may make it."""
    membership.permit(plane, tx, actor, [found.id], "devices" if fresh.selector == found.selector else "selector")
    standing = [deployments.find(tx, one) for one in store.deployed_to(tx, found.id, STANDING)]
    apps = sorted({one.app for one in standing if one is not None})
    later = () if fresh.selector == found.selector else (Target(selector=fresh.selector or found.selector),)
    for app in apps:
        visible.permit_deploying(tx, actor, app, moved, later)
    given = valued.apps_on(plane, tx, GROUP, found.id)
    for app in given:
        permit(actor, "parameters.write", rights.Target(app=app, groups=frozenset({found.id})))
    membership.regroup(tx, group=fresh)
    for app in apps:
        rollouts.settle(plane, tx, actor, app)
    for app in given:
        rollouts.revalue(plane, tx, app, moved)


def _names(tx: Tx, ids: Iterable[str]) -> str:
    """The names of devices for the record, of twenty at most."""
    found = sorted(ids)
    names = sorted(one.name for one in device_store.lean(tx, found[:20]).values())
    return ", ".join(names) + (f" and {len(found) - 20} more" if len(found) > 20 else "")


def remove_group(plane: Plane, actor: Actor, *, group: str, revision: int, reason: str = "") -> None:
    """Forget a group; its devices stay. Raises Conflict while a deployment that stands is for it, a role is given on it, or a token narrowed to it; Stale."""

    def work(tx: Tx) -> None:
        found = visible.group(tx, actor, group, "groups.write")
        held = _holders(plane, tx, actor, found)
        if held:
            raise Conflict(
                "group-in-use",
                f"group {found.name} is still needed: {'; '.join(held)}",
                remedy="withdraw or change those deployments, clear those values, take those roles away and revoke those tokens first",
            )
        store.drop(tx, found, revision)
        data = {"name": found.name, "selector": found.selector, "devices": _names(tx, found.devices)}
        note(plane, tx, actor, "group.removed", found.id, reason=reason, data=data, topics=_topics(found.id))

    plane.db.update(work)


def _holders(plane: Plane, tx: Tx, actor: Actor, found: Group) -> list[str]:
    """What keeps a group from being removed, in words: named as far as the actor may see it, else counted."""
    standing = [one for ident in store.deployed_to(tx, found.id, STANDING) if (one := deployments.find(tx, ident)) is not None]
    names = [one.name for one in _deployments_seen(tx, actor, standing)]
    held = [f"deployment {name} is for it" for name in names]
    seen = visible.apps_seen(tx, actor)
    given = valued.apps_on(plane, tx, GROUP, found.id)
    held += [f"values of app {name} are set on it" for name in given if seen is None or name in seen]
    if seen is not None and not seen.issuperset(given):
        held.append("values of an app that you cannot see are set on it")
    if len(standing) > len(names):
        held.append(f"deployments that you cannot see are for it: {len(standing) - len(names)}")
    bound = [one for one in access.all_bindings(tx) if one.on == Part(GROUP, found.id)]
    tokens = store.tokens_on(tx, found.id, plane.clock.now_ms())
    if rights.reach(actor.rights, "access.read").covers(rights.Target(groups=frozenset({found.id}))):
        held += [f"role {one.role} is given on it to {_subject(tx, one.subject)}" for one in bound]
        held += [f"token {name} is narrowed to it" for name in tokens]
    elif bound or tokens:
        held.append(f"roles are given on it, or tokens narrowed to it, {len(bound) + len(tokens)} in all")
    return held


def _subject(tx: Tx, ident: str) -> str:
    team = access.team(tx, ident)
    if team is not None:
        return f"team {team.name}"
    user = users.by_id(tx, ident)
    return user.name if user is not None else ident


# --- read ---------------------------------------------------------------------------------------------------------------


def _deployments_seen(tx: Tx, actor: Actor, among: Sequence[Deployment]) -> tuple[Deployment, ...]:
    return visible.deployments_seen(tx, actor, tuple(among)) if rights.reach(actor.rights, "deployments.read") else ()


def _seen(tx: Tx, actor: Actor, ids: Iterable[str]) -> frozenset[str]:
    return device_store.seen(tx, rights.reach(actor.rights, "devices.read"), ids)


def _named(found: Group, seen: frozenset[str]) -> tuple[str, ...]:
    return tuple(device for device in found.devices if device in seen)


def list_groups(plane: Plane, actor: Actor) -> tuple[GroupView, ...]:
    """All, by name, with how many of the devices the actor may see are in."""
    reach = require(actor, "groups.read")

    def work(tx: Tx) -> tuple[GroupView, ...]:
        counts = store.counts(tx, rights.reach(actor.rights, "devices.read"))
        giving = store.giving(tx, plane.clock.now_ms())
        found = store.all_in(tx, reach)
        seen = _seen(tx, actor, {device for one in found for device in one.devices})
        return tuple(GroupView(one, _named(one, seen), counts.get(one.id, 0), one.id in giving) for one in found)

    return plane.db.view(work)


def get_group(plane: Plane, actor: Actor, *, group: str) -> GroupView:
    """One, by id or name, with its deployments and its devices in numbers."""

    def work(tx: Tx) -> GroupView:
        found = visible.group(tx, actor, group)
        standing = [one for ident in store.deployed_to(tx, found.id, STANDING) if (one := deployments.find(tx, ident)) is not None]
        giving = found.id in store.giving(tx, plane.clock.now_ms())
        here = rights.reach(actor.rights, "devices.read")
        counted = devices.count(tx, actor, DeviceQuery(group=found.id)) if here else None
        count = counted.devices if counted is not None else 0
        return GroupView(found, _named(found, _seen(tx, actor, found.devices)), count, giving, _deployments_seen(tx, actor, standing), counted)

    return plane.db.view(work)


def list_members(plane: Plane, actor: Actor, *, group: str, cursor: str = "", limit: int = 50) -> Page[GroupMember]:
    """The devices of a group by name, and why each is in."""
    found = plane.db.view(lambda tx: visible.group(tx, actor, group))
    page = devices.list_devices(plane, actor, query=DeviceQuery(group=found.id, sort="name"), cursor=cursor, limit=limit)
    rule = rule_of(found)
    return Page(tuple(GroupMember(row, rule.ways(row.device.id, row.device.labels)) for row in page.items), page.next)
