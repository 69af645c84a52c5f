"""What somebody may see of apps and deployments, which lie across sites, and on what deploying is asked.

Owns that rule: an app is seen by who has a role on it (or on the fleet), and by who may see a device that has it; a deployment by who may see its app's
deployments, or a device it is or was about. Who sees a part sees the numbers and names of that part only.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from penstock.server.core import rights
from penstock.server.core.access import REMEDY, permit, require
from penstock.server.core.errors import Forbidden, missing
from penstock.server.core.groups import Group
from penstock.server.core.model import Actor, Deployment, Device, Plan, ReleaseRow, Target
from penstock.server.core.rights import EVERYWHERE, Reach
from penstock.server.store import deployments, devices, groups, releases
from penstock.server.store import rollouts as rollout_store
from penstock.server.store.db import Tx


def apps_seen(tx: Tx, actor: Actor) -> frozenset[str] | None:
    """The names of the apps an actor may see; None: all."""
    reach = require(actor, "apps.read")
    if reach.whole:
        return None
    here = releases.apps_on(tx, reach)
    return frozenset(one.name for one in releases.all_apps(tx) if one.name in here or reach.covers(rights.Target(app=one.name)))


def group(tx: Tx, actor: Actor, which: str, verb: str = "groups.read") -> Group:
    """A group by id or name, for `verb`. Raises Missing for what the actor may not see, Forbidden for what it may only see."""
    found = groups.find(tx, require(actor, "groups.read"), which)
    if found is None:
        raise missing("group", which)
    permit(actor, verb, rights.Target(groups=frozenset({found.id})))
    return found


def groups_seen(tx: Tx, actor: Actor) -> dict[str, Group]:
    """The groups an actor may see, by id; none without leave to see any."""
    return {one.id: one for one in groups.all_in(tx, rights.reach(actor.rights, "groups.read"))}


def device_ids(tx: Tx, actor: Actor, named: Iterable[str], field: str) -> tuple[str, ...]:
    """Devices by id or name, as ids in order, each once. Raises Missing for the first that the actor may not see."""
    known = {key: device for device, name, _, _ in devices.labels(tx, require(actor, "devices.read")) for key in (name, device)}
    unknown = [one for one in named if one not in known]
    if unknown:
        fault = missing("device", unknown[0])
        fault.field = field
        raise fault
    return tuple(sorted({known[one] for one in named}))


def release(tx: Tx, actor: Actor, which: str) -> ReleaseRow:
    """By id, or as "app:version". Raises Missing for what the actor may not see."""
    found = releases.by_id(tx, which)
    if found is None and ":" in which:
        app, _, version = which.partition(":")
        found = releases.by_version(tx, app, version)
    seen = apps_seen(tx, actor)
    if found is None or (seen is not None and found.app not in seen):
        raise missing("release", which)
    return found


def reach_into(actor: Actor, app: str) -> Reach:
    """The part of an app's deployments that an actor may see: all of them with the right on the app."""
    reach = require(actor, "deployments.read")
    return EVERYWHERE if reach.covers(rights.Target(app=app)) else reach


def deployments_seen(tx: Tx, actor: Actor, among: tuple[Deployment, ...]) -> tuple[Deployment, ...]:
    """Those of `among` that an actor may see."""
    reach = require(actor, "deployments.read")
    if reach.whole:
        return among
    touched = rollout_store.touching(tx, reach)
    here: frozenset[str] | None = None
    found = []
    for one in among:
        if one.id in touched or reach.covers(rights.Target(app=one.app)):
            found.append(one)
            continue
        plan = deployments.plan(tx, one.id, one.plan)
        if plan is not None and plan.target.group and reach.covers(rights.Target(groups=frozenset({plan.target.group}))):
            found.append(one)
        elif plan is not None and plan.target.devices:
            here = frozenset(device for device, *_ in devices.labels(tx, reach)) if here is None else here
            if not here.isdisjoint(plan.target.devices):
                found.append(one)
    return tuple(found)


def deployment(tx: Tx, actor: Actor, which: str) -> Deployment:
    """By id or name. Raises Missing for what the actor may not see."""
    found = deployments.find(tx, which)
    if found is None or not deployments_seen(tx, actor, (found,)):
        raise missing("deployment", which)
    return found


def part_of(tx: Tx, actor: Actor, found: Deployment, plan: Plan, reach: Reach) -> tuple[Deployment, Plan]:
    """A deployment and its plan, with only the devices inside `reach` named, and the group only where the actor may see it."""
    hidden = bool(plan.target.group) and groups.find(tx, rights.reach(actor.rights, "groups.read"), plan.target.group) is None
    plan = replace(plan, target=replace(plan.target, group="" if hidden else plan.target.group))
    if reach.whole:
        return found, plan
    here = {device for device, *_ in devices.labels(tx, reach)}
    conflict = "another deployment came first on some of its devices" if found.conflict else ""
    named = tuple(device for device in plan.target.devices if device in here)
    return replace(found, conflict=conflict), replace(plan, target=replace(plan.target, devices=named))


def target_of(tx: Tx, device: Device) -> rights.Target:
    """What rights on a device are asked of: itself, its site, its groups."""
    return rights.Target(site=device.site, device=device.id, groups=groups.groups_of(tx, device.id))


def permit_deploying(tx: Tx, actor: Actor, app: str, concerned: Iterable[str], aims: Collection[Target] = ()) -> None:
    """Deploying asks for the right on the app; or on every device concerned, and on the group where one of `aims` is a group, whoever may come into it later.
    Raises Forbidden."""
    if isinstance(rights.may(actor.rights, "deployments.write", rights.Target(app=app)), rights.Allow):
        return
    if any(aim.selector for aim in aims):
        raise Forbidden(
            "not-allowed",
            f"a selector means devices that come later too, so it needs deployments.write on app {app} or on the whole fleet",
            remedy=f"name the devices one by one; {REMEDY}",
        )
    require(actor, "deployments.write")
    for aim in aims:
        if aim.group:
            permit(actor, "deployments.write", rights.Target(groups=frozenset({aim.group})))
    for device in devices.many(tx, concerned).values():
        permit(actor, "deployments.write", target_of(tx, device))


def may_deploy(tx: Tx, actor: Actor, app: str, aim: Target) -> bool:
    """Whether `permit_deploying` would let it through: what buttons are shown by."""
    if not rights.reach(actor.rights, "deployments.write"):
        return False
    try:
        permit_deploying(tx, actor, app, aim.devices, (aim,))
    except Forbidden:
        return False
    return True
