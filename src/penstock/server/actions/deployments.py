"""Deployments: look before, create, change, withdraw, try again.

Owns the path from what a person asks to a new plan and its rollout. What happens to which device is decided by `core.assign` and
`core.rollout`. Secret values go into the vault here and are never read back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from penstock.server.actions import catalog, fitting, progress, rollouts, valued, visible
from penstock.server.actions.context import Plane, note
from penstock.server.core.assign import claims
from penstock.server.core.compose import ComposeError
from penstock.server.core.difference import between_states
from penstock.server.core.errors import Conflict, Invalid, Refused, missing
from penstock.server.core.model import (
    FAILED,
    ORDERED,
    PINNED,
    RUNNING,
    STANDING,
    WITHDRAWN,
    Actor,
    Assignment,
    Deployment,
    DeploymentId,
    Device,
    Plan,
    ReleaseRow,
    Target,
)
from penstock.server.core.parts import irreversible_of
from penstock.server.core.release import Release, check_values, load
from penstock.server.core.rights import EVERYWHERE
from penstock.server.core.targeting import check_target, meant
from penstock.server.core.views import DeploymentPreview, DeploymentView, Parameter, PreviewRow
from penstock.server.store import deployments as store
from penstock.server.store import devices, groups, releases
from penstock.server.store import rollouts as rollout_store
from penstock.server.store import secrets as secret_store
from penstock.server.store.db import Tx
from penstock.wire.types import AppState, content_digest, name_fault

MAX_VALUE = 32_768
PREVIEWED = 500  # rows shown one by one; counts cover all


def _get(tx: Tx, deployment: str) -> Deployment:
    found = store.find(tx, deployment)
    assert found is not None
    return found


def _target(tx: Tx, actor: Actor, target: Target) -> Target:
    """The target with names turned into ids. Raises Invalid, and Missing for a device or a group that the actor may not see."""
    check_target(target)
    if target.selector:
        return target
    if target.group:
        return Target(group=visible.group(tx, actor, target.group).id)
    if len(target.devices) > 20_000:
        raise Invalid("target-too-large", "a list names at most 20000 devices", field="target.devices", remedy="use a selector")
    return Target(visible.device_ids(tx, actor, target.devices, "target.devices"))


def _check_span(soak_s: int, deadline_s: int, drift: str) -> None:
    if not 0 <= soak_s <= 7 * 86_400:
        raise Invalid("soak-out-of-range", "soak_s is 1 second to 7 days, or 0 for what the release says", field="soak_s")
    if not 0 <= deadline_s <= 86_400:
        raise Invalid("deadline-out-of-range", "deadline_s is 1 second to 1 day, or 0 for what the release says", field="deadline_s")
    if drift not in ("", "correct", "report"):
        raise Invalid("drift-unknown", f"drift is {drift!r}; it is correct, report, or empty for what the release says", field="drift")


def _check_values(release: Release, values: Mapping[str, str], given: Mapping[str, str | None]) -> dict[str, str]:
    """The values in canonical form. Raises Invalid; a secret that is None is not at hand."""
    for name, value in {**values, **given}.items():
        if value is not None and len(value) > MAX_VALUE:
            raise Invalid("value-too-long", f"the value of {name[:60]} has {len(value)} characters, more than {MAX_VALUE}", field=f"values.{name[:60]}")
    try:
        return check_values(release, values, given)
    except ComposeError as fault:
        raise catalog.values_refused(fault) from None


def _missing(plane: Plane, tx: Tx, release: Release, target: Target, values: Mapping[str, str], held: Mapping[str, str]) -> tuple[Parameter, ...]:
    """What nobody gives a value, of all that the devices meant need, each with the part for its engine. Where a level gives one to some devices, the others
    are left out one by one, each with its sentence."""
    levels = valued.newest(plane, tx, release.app).given
    found: dict[str, Parameter] = {}
    for reading in _readings(tx, release, target):
        for one in reading.parameters:
            if one.required and not any(one.name in given for given in (values, held, reading.fixed, levels)):
                found.setdefault(one.name, Parameter(one.name, one.default, one.message or "it has no default", one.secret, one.used_at, one.declared))
    return tuple(found.values())


def _readings(tx: Tx, release: Release, target: Target) -> tuple[Release, ...]:
    """The readings of a release that the devices meant get; what is common where none is meant yet."""
    if not release.parts:
        return (release,)
    labels = [(device, given) for device, _, _, given in devices.labels(tx, EVERYWHERE)]
    aimed = meant(target, labels, groups.members_of(tx, {target.group}))
    engines = {one.engine if one.engine in release.parts else "" for one in devices.lean(tx, aimed).values()}
    return tuple(release.of(engine) for engine in sorted(engines)) or (release,)


def _fits(plane: Plane, tx: Tx, release: Release, plan: Plan) -> None:
    """Devices that are named one by one are meant: what cannot stand there is refused at once. Those that a selector or a group means are left out, each with
    its sentence. Raises Conflict."""
    named = devices.many(tx, plan.target.devices)
    there = fitting.beside(plane, tx, sorted(named))
    for name, device in sorted(named.items(), key=lambda item: item[1].name):
        if catalog.unfit(release, device):
            continue
        try:
            filled = catalog.fill(plane, tx, plan, device)
        except Refused:
            continue  # left out, as the preview says
        why = fitting.refusal(plane, release, filled, device, there[name])
        if why:
            raise Conflict(
                "does-not-fit", f"on {device.name}: {why}", field="target.devices", remedy="leave this device out, or put the reason right there first"
            )


# --- look before ----------------------------------------------------------------------------------------------------------


def preview(
    plane: Plane,
    actor: Actor,
    *,
    release: str,
    target: Target,
    values: Mapping[str, str] | None = None,
    secrets_given: tuple[str, ...] = (),
    drift: str = "",
    soak_s: int = 0,
    deadline_s: int = 0,
    deployment: str | None = None,
) -> DeploymentPreview:
    """What a new deployment (or a change of `deployment`) would do, device by device. `secrets_given`: names of secrets that will be given
    a (new) value. Changes nothing."""
    _check_span(soak_s, deadline_s, drift)

    def work(tx: Tx) -> DeploymentPreview:
        row = visible.release(tx, actor, release)
        loaded, _ = catalog.release_of(plane, tx, row.id)
        now = visible.deployment(tx, actor, deployment) if deployment else None
        if now is not None and now.app != row.app:
            raise Conflict("other-app", f"the deployment is of app {now.app}, the release of {row.app}", field="release")
        old = store.plan(tx, now.id, now.plan) if now is not None else None
        held = {} if old is None else {name: version for name, version in old.secrets.items() if name in loaded.secrets}
        held |= dict.fromkeys(secrets_given, "new")
        given = _check_values(loaded, values or {}, dict.fromkeys(secrets_given))
        aim = _target(tx, actor, target)
        ident = now.id if now is not None else DeploymentId("dep_preview")
        plan = Plan(ident, 0, row.id, aim, given, held, drift, soak_s, deadline_s)
        lacking = _missing(plane, tx, loaded, aim, given, held)
        told: dict[str, list[str]] = {}
        rows = _rows(plane, tx, actor, loaded, plan, now, lacking, told)
        counts: dict[str, int] = {}
        for one in rows:
            counts[one.what] = counts.get(one.what, 0) + 1
        warnings = []
        irreversible = irreversible_of(loaded)
        if irreversible:
            warnings.append(f"volume {', '.join(irreversible)} is irreversible: this change will not be taken back by itself if it fails")
        warnings += [f"{why} ({_few(names)})" for why, names in list(told.items())[:20]]
        if not rows:
            warnings.append("the target means no device now; devices that match later will get it")
        return DeploymentPreview(tuple(rows[:PREVIEWED]), counts, lacking, tuple(warnings))

    return plane.db.view(work)


def _few(names: list[str]) -> str:
    return ", ".join(sorted(names)[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _rows(
    plane: Plane,
    tx: Tx,
    actor: Actor,
    release: Release,
    plan: Plan,
    now: Deployment | None,
    lacking: tuple[Parameter, ...],
    told: dict[str, list[str]],
) -> list[PreviewRow]:
    """Every device concerned that the actor may see; `told` takes what is to be said of them, with their names."""
    app = release.app
    labels = [(device, given) for device, _, _, given in devices.labels(tx, EVERYWHERE)]
    standing = [one for one in store.all_of(tx, app, STANDING) if now is None or one.id != now.id]
    mine = now or Deployment(DeploymentId(plan.deployment), "preview", app, STANDING, 0, plane.clock.now_ms())
    plans: dict[str, Plan] = {one.id: held for one in standing if (held := store.plan(tx, one.id, one.plan)) is not None}
    plans[mine.id] = plan
    order = sorted([*standing, mine], key=lambda one: (one.created_ms, one.id))
    assigned = rollout_store.assigned_app(tx, app)
    members = groups.members_of(tx, {one.target.group for one in plans.values()})
    found = claims(order, plans, labels, assigned, members)
    aimed = meant(plan.target, labels, members)
    leaving = [device for device, one in assigned.items() if one.deployment == mine.id and device not in aimed]
    conflicts = set(found.conflicts.get(mine.id, ()))
    holders = {device: one for one in standing for device in found.held[one.id] if device in conflicts}
    reach = visible.reach_into(actor, app)
    here = {device for device, *_ in devices.labels(tx, reach)}
    known = {one.id for one in visible.deployments_seen(tx, actor, tuple(set(holders.values())))}
    concerned = devices.many(tx, [*aimed, *leaving])
    rows = []
    there = fitting.beside(plane, tx, [name for name in aimed if name in here])
    for name in [*aimed, *leaving]:
        if name not in here:
            continue
        device = concerned[name]
        site = catalog.site_name(plane, tx, device.site)
        before = _before(plane, tx, assigned, device)
        version = before.version if before is not None else ""
        if name in conflicts:
            holder = holders[name]
            first = f"deployment {holder.name}" if holder.id in known else "another deployment"
            why = f"{first} of this app came first on this device; change that one, or withdraw it"
            rows.append(PreviewRow(name, device.name, site, "conflict", why, version))
        elif name in leaving:
            why = "the target does not mean it any more"
            removed = tuple(service.name for service in before.services) if before is not None else ()
            rows.append(PreviewRow(name, device.name, site, "withdraw", why, version, removed=removed))
        else:
            row, said = _row(plane, tx, release, plan, device, site, before, lacking, there[name])
            rows.append(row)
            for one in said:
                told.setdefault(one, []).append(device.name)
    order_of = {"conflict": 0, "left-out": 1, "withdraw": 2, "update": 3, "install": 4, "unchanged": 5}
    return sorted(rows, key=lambda row: (order_of[row.what], row.name))


def _before(plane: Plane, tx: Tx, assigned: Mapping[str, Assignment], device: Device) -> AppState | None:
    now = assigned.get(device.id)
    plan = store.plan(tx, now.deployment, now.plan) if now is not None else None
    if now is None or plan is None:
        return None
    try:
        return catalog.fill(plane, tx, plan, device, valued.levels_at(plane, tx, now.app, now.values_at)).state
    except Refused:
        return None


def _row(
    plane: Plane,
    tx: Tx,
    release: Release,
    plan: Plan,
    device: Device,
    site: str,
    before: AppState | None,
    lacking: tuple[Parameter, ...],
    there: fitting.Beside,
) -> tuple[PreviewRow, tuple[str, ...]]:
    """One device, and what is to be said of it."""
    version = before.version if before is not None else ""
    why = catalog.unfit(release, device)
    if why:
        return PreviewRow(device.id, device.name, site, "left-out", why, version), ()
    if lacking:
        return PreviewRow(device.id, device.name, site, "update" if before else "install", "some parameters have no value yet", version), ()
    try:
        filled = catalog.fill(plane, tx, plan, device)
    except Refused as refusal:
        return PreviewRow(device.id, device.name, site, "left-out", refusal.why, version), ()
    after = filled.state
    verdict = fitting.judged(plane, release, filled, device, there)
    if verdict.refusals:
        return PreviewRow(device.id, device.name, site, "left-out", "; ".join(verdict.refusals), version), ()
    said = verdict.warnings
    if before is None:
        added = tuple(service.name for service in after.services)
        return PreviewRow(device.id, device.name, site, "install", "it does not have this app", "", added=added), said
    changes = between_states(before, after, device.facts.platforms[0] if device.facts.platforms else "")
    kinds = {kind: tuple(part.name for part in changes.services if part.kind == kind) for kind in ("added", "removed")}
    restarted = tuple(name for name in changes.restarted if name not in kinds["removed"])
    if content_digest(before) == content_digest(after):
        return PreviewRow(device.id, device.name, site, "unchanged", "it runs exactly this already", version), ()
    return PreviewRow(device.id, device.name, site, "update", "", version, restarted, kinds["added"], kinds["removed"]), said


# --- change ---------------------------------------------------------------------------------------------------------------


def _keep_secrets(plane: Plane, tx: Tx, deployment: str, given: Mapping[str, str]) -> dict[str, str]:
    versions = {}
    for name, value in given.items():
        version = plane.ids.secret()[:12]
        secret_store.put(tx, deployment, name, version, plane.vault.put(value.encode("utf-8"), catalog.vault_bound(deployment, name, version)))
        versions[name] = version
    return versions


def _complete(plane: Plane, tx: Tx, release: Release, target: Target, values: Mapping[str, str], held: Mapping[str, str]) -> None:
    lacking = _missing(plane, tx, release, target, values, held)
    if lacking:
        first = lacking[0]
        names = ", ".join(one.name for one in lacking)
        raise Invalid("parameter-missing", f"these parameters have no value: {names}", field=f"values.{first.name}", remedy=first.required)


def create_deployment(
    plane: Plane,
    actor: Actor,
    *,
    name: str,
    release: str,
    target: Target,
    values: Mapping[str, str] | None = None,
    secrets: Mapping[str, str] | None = None,
    drift: str = "",
    soak_s: int = 0,
    deadline_s: int = 0,
    reason: str = "",
) -> Deployment:
    """A new deployment, and its first rollout. `secrets` are plain values; they go into the vault. Raises Conflict for a taken name."""
    fault = name_fault(name)
    if fault:
        raise Invalid("name-malformed", fault, field="name")
    _check_span(soak_s, deadline_s, drift)

    def work(tx: Tx) -> Deployment:
        row = visible.release(tx, actor, release)
        loaded = load(row.document)
        aim = _target(tx, actor, target)
        visible.permit_deploying(tx, actor, row.app, aim.devices, [aim])
        if store.find(tx, name) is not None:
            raise Conflict("name-taken", f"there is a deployment named {name} already", field="name", remedy="choose another name, or change that one")
        given = _check_values(loaded, values or {}, secrets or {})
        now = plane.clock.now_ms()
        made = Deployment(DeploymentId(plane.ids.new("dep")), name, row.app, STANDING, 1, now)
        store.add(tx, made)
        versions = _keep_secrets(plane, tx, made.id, secrets or {})
        _complete(plane, tx, loaded, aim, given, versions)
        plan = Plan(made.id, 1, row.id, aim, given, versions, drift, soak_s, deadline_s, now, actor.name, reason)
        _fits(plane, tx, loaded, plan)
        store.add_plan(tx, plan)
        _noted(plane, tx, actor, "deployment.created", made, row, reason)
        rollouts.settle(plane, tx, actor, row.app, made, reason)
        return _get(tx, made.id)

    return plane.db.update(work)


def change_deployment(
    plane: Plane,
    actor: Actor,
    *,
    deployment: str,
    revision: int,
    release: str | None = None,
    target: Target | None = None,
    values: Mapping[str, str] | None = None,
    secrets: Mapping[str, str] | None = None,
    drift: str | None = None,
    soak_s: int | None = None,
    deadline_s: int | None = None,
    reason: str = "",
) -> Deployment:
    """A new plan for a deployment: what is not given stays. `values` replaces all values; of `secrets` only those given change. Devices whose
    content stays the same are not touched. Raises Stale."""
    _check_span(soak_s or 0, deadline_s or 0, drift or "")

    def work(tx: Tx) -> Deployment:
        now = visible.deployment(tx, actor, deployment)
        if now.state != STANDING:
            raise Conflict("deployment-withdrawn", "the deployment was withdrawn", remedy="create a new one")
        old = store.plan(tx, now.id, now.plan)
        assert old is not None
        aim = _target(tx, actor, target) if target is not None else old.target
        visible.permit_deploying(tx, actor, now.app, {*aim.devices, *rollout_store.assigned_of(tx, now.id)}, [aim, old.target])
        row = visible.release(tx, actor, release if release is not None else old.release)
        if row.app != now.app:
            raise Conflict("other-app", f"the deployment is of app {now.app}, the release of {row.app}", field="release", remedy="create another deployment")
        loaded = load(row.document)
        wanted = dict(values) if values is not None else {name: value for name, value in old.values.items() if _known(loaded, name)}
        wanted = _check_values(loaded, wanted, secrets or {})
        held = {name: version for name, version in old.secrets.items() if name in loaded.secrets}
        held |= _keep_secrets(plane, tx, now.id, secrets or {})
        _complete(plane, tx, loaded, aim, wanted, held)
        plan = Plan(
            now.id,
            now.plan + 1,
            row.id,
            aim,
            wanted,
            held,
            old.drift if drift is None else drift,
            old.soak_s if soak_s is None else soak_s,
            old.deadline_s if deadline_s is None else deadline_s,
            plane.clock.now_ms(),
            actor.name,
            reason,
        )
        _fits(plane, tx, loaded, plan)
        store.change(tx, now, revision, plan=plan.version)
        store.add_plan(tx, plan)
        fresh = _get(tx, now.id)
        _noted(plane, tx, actor, "deployment.changed", fresh, row, reason)
        rollouts.settle(plane, tx, actor, now.app, fresh, reason)
        return _get(tx, now.id)

    return plane.db.update(work)


def _known(release: Release, name: str) -> bool:
    return any(one.name == name and not one.secret for one in release.every_parameter)


def _noted(plane: Plane, tx: Tx, actor: Actor, verb: str, deployment: Deployment, row: ReleaseRow, reason: str) -> None:
    data = {"name": deployment.name, "app": row.app, "version": row.version}
    note(plane, tx, actor, verb, deployment.id, app=row.app, reason=reason, data=data, topics=[("deployments", deployment.id)])


def withdraw(plane: Plane, actor: Actor, *, deployment: str, revision: int, reason: str) -> Deployment:
    """Take the app off all its devices, in order, volumes kept. Another deployment that waits for a device gets it."""

    def work(tx: Tx) -> Deployment:
        now = visible.deployment(tx, actor, deployment)
        if now.state != STANDING:
            raise Conflict("deployment-withdrawn", "the deployment was withdrawn already")
        visible.permit_deploying(tx, actor, now.app, rollout_store.assigned_of(tx, now.id), _aims(tx, now))
        store.change(tx, now, revision, state=WITHDRAWN, conflict="")
        fresh = _get(tx, now.id)
        note(
            plane,
            tx,
            actor,
            "deployment.withdrawn",
            now.id,
            app=now.app,
            reason=reason,
            data={"name": now.name, "app": now.app},
            topics=[("deployments", now.id)],
        )
        rollouts.settle(plane, tx, actor, now.app, fresh, reason)
        return _get(tx, now.id)

    return plane.db.update(work)


def stand_again(plane: Plane, actor: Actor, *, deployment: str, revision: int, reason: str = "") -> Deployment:
    """Take back a withdrawal: the plan it had last becomes its newest one, and its devices are matched anew. Raises Stale."""

    def work(tx: Tx) -> Deployment:
        now = visible.deployment(tx, actor, deployment)
        if now.state != WITHDRAWN:
            raise Conflict("deployment-standing", "the deployment was not withdrawn")
        old = store.plan(tx, now.id, now.plan)
        assert old is not None
        visible.permit_deploying(tx, actor, now.app, old.target.devices, (old.target,))
        row = visible.release(tx, actor, old.release)
        plan = replace(old, version=now.plan + 1, made_ms=plane.clock.now_ms(), made_by=actor.name, reason=reason)
        store.change(tx, now, revision, state=STANDING, plan=plan.version)
        store.add_plan(tx, plan)
        fresh = _get(tx, now.id)
        _noted(plane, tx, actor, "deployment.restored", fresh, row, reason)
        rollouts.settle(plane, tx, actor, now.app, fresh, reason)
        return _get(tx, now.id)

    return plane.db.update(work)


def retry(plane: Plane, actor: Actor, *, deployment: str, devices: tuple[str, ...] = (), reason: str = "") -> int:
    """Let devices that failed (or went back) try again: they get a new leave. `devices` empty: all of them. How many."""

    def work(tx: Tx) -> int:
        now = visible.deployment(tx, actor, deployment)
        former = rollout_store.of_deployment(tx, now.id)
        if not former:
            raise missing("rollout", deployment)
        rollout = former[0]
        again = [
            member for member in rollout_store.members_of(tx, rollout.id) if member.state in (FAILED, PINNED) and (not devices or member.device in devices)
        ]
        visible.permit_deploying(tx, actor, now.app, [member.device for member in again])
        if not again:
            raise Conflict("nothing-to-retry", "no device of the newest rollout has failed or gone back", field="devices")
        at = plane.clock.now_ms()
        rollout_store.put_members(tx, [replace(member, state=ORDERED, why=f"to be tried again, by {actor.name}", changed_ms=at) for member in again])
        rollout_store.change(tx, rollout.id, state=RUNNING, ended_ms=0)
        note(
            plane,
            tx,
            actor,
            "rollout.retried",
            rollout.id,
            app=now.app,
            reason=reason,
            data={"deployment": now.id, "devices": str(len(again))},
            topics=[("deployments", now.id)],
        )
        rollouts.go(plane, tx, replace(rollout, state=RUNNING, ended_ms=0), [member.device for member in again])
        return len(again)

    return plane.db.update(work)


# --- read -----------------------------------------------------------------------------------------------------------------


def _aims(tx: Tx, found: Deployment) -> tuple[Target, ...]:
    plan = store.plan(tx, found.id, found.plan)
    return (plan.target,) if plan is not None else ()


def _view(tx: Tx, actor: Actor, found: Deployment) -> DeploymentView:
    plan = store.plan(tx, found.id, found.plan)
    assert plan is not None
    row = releases.by_id(tx, plan.release)
    assert row is not None
    reach = visible.reach_into(actor, found.app)
    former = rollout_store.of_deployment(tx, found.id)
    newest = progress.view(tx, former[0], reach) if former else None
    may = ("deployments.write",) if visible.may_deploy(tx, actor, found.app, plan.target) else ()
    shown, part = visible.part_of(tx, actor, found, plan, reach)
    group = groups.find(tx, EVERYWHERE, part.target.group) if part.target.group else None
    count = rollout_store.assigned_count(tx, reach, found.id)
    return DeploymentView(shown, part, row, newest, count, may, group.name if group is not None else "")


def list_deployments(plane: Plane, actor: Actor, *, app: str = "", state: str = "") -> tuple[DeploymentView, ...]:
    """All, oldest first; of one app or in one state (standing, withdrawn) if given."""
    return plane.db.view(lambda tx: tuple(_view(tx, actor, found) for found in visible.deployments_seen(tx, actor, store.all_of(tx, app, state))))


def count_deployments(plane: Plane, actor: Actor) -> int:
    """How many there are that the actor may see, withdrawn ones too."""
    return plane.db.view(lambda tx: len(visible.deployments_seen(tx, actor, store.all_of(tx))))


def get_deployment(plane: Plane, actor: Actor, *, deployment: str) -> DeploymentView:
    """One, by id or name."""
    return plane.db.view(lambda tx: _view(tx, actor, visible.deployment(tx, actor, deployment)))
