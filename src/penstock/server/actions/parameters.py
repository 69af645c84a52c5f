"""Parameters at levels: the table of a level, where a value comes from, what a change would do, and the change.

Owns these acts. Which level wins is decided by `core.levels`, what a value must be by the release; devices whose content really changes are ordered anew by
`rollouts.revalue`, as after a change of labels. A secret goes into the vault here and is never read back.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from penstock.server.actions import catalog, fitting, rollouts, valued, visible
from penstock.server.actions.context import Plane, note
from penstock.server.core import rights
from penstock.server.core.access import permit, require
from penstock.server.core.compose import ComposeError
from penstock.server.core.declared import SECRET, Declared
from penstock.server.core.difference import between_states
from penstock.server.core.errors import Conflict, Invalid, Refused, missing
from penstock.server.core.interpolate import Parameter
from penstock.server.core.levels import DEVICE, FLEET, GROUP, LEVELS, SITE, Ambiguous, Given, Levels, Place, Source, holds, layers, standing
from penstock.server.core.model import STANDING, Actor, Deployment, Device, Plan
from penstock.server.core.parameterviews import Layer, ParameterRow, ParameterTable, ValueChange, ValuePreview, ValueRow
from penstock.server.core.release import Release, judged, load
from penstock.server.store import deployments, devices, groups, parameters, releases, sites
from penstock.server.store import rollouts as rollout_store
from penstock.server.store.db import Tx

PREVIEWED = 500  # rows shown one by one; counts cover all
MOST_NAMES = 64  # parameters in one change
MOST_LINES = 100_000  # of one app's history
HIDDEN = "one that you cannot see"


# --- where --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Where:
    """A level, found: the part's id and name, the devices under it, and what rights on it are asked of."""

    level: str
    part: str
    name: str
    site: str
    devices: frozenset[str] | None  # None: all there are
    target: rights.Target

    def __str__(self) -> str:
        return f"{self.level} {self.name}" if self.name else "the whole fleet"


def _where(tx: Tx, actor: Actor, app: str, level: str, part: str) -> Where:
    """Raises Invalid for no level, Missing for what the actor may not see."""
    seen = visible.apps_seen(tx, actor)
    if releases.app(tx, app) is None or (seen is not None and app not in seen):
        raise missing("app", app)
    return _found(tx, actor, app, level, part)


def _found(tx: Tx, actor: Actor, app: str, level: str, part: str) -> Where:
    if level not in LEVELS:
        raise Invalid("level-unknown", f"{level[:40]!r} is no level", field="level", remedy=f"it is one of {', '.join(LEVELS)}")
    if level == FLEET:
        if part:
            raise Invalid("part-unclear", "the whole fleet has no part to name", field="part", remedy="leave it out, or say which level is meant")
        return Where(FLEET, "", "", "", None, rights.Target(app=app))
    if level == GROUP:
        group = visible.group(tx, actor, part)
        members = groups.members_of(tx, [group.id])[group.id]
        return Where(GROUP, group.id, group.name, "", members, rights.Target(app=app, groups=frozenset({group.id})))
    if level == SITE:
        site = sites.find(tx, require(actor, "sites.read"), part)
        if site is None:
            raise missing("site", part)
        return Where(SITE, site.id, site.name, site.id, frozenset(devices.at_site(tx, site.id)), rights.Target(app=app, site=site.id))
    device = devices.find(tx, require(actor, "devices.read"), part)
    if device is None:
        raise missing("device", part)
    return Where(DEVICE, device.id, device.name, device.site, frozenset((device.id,)), replace(visible.target_of(tx, device), app=app))


def _names(tx: Tx, actor: Actor, keys: Collection[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """The names of parts, as far as the actor may see them."""
    found: dict[tuple[str, str], str] = {}
    seen_groups = visible.groups_seen(tx, actor) if any(level == GROUP for level, _ in keys) else {}
    device_reach, site_reach = rights.reach(actor.rights, "devices.read"), rights.reach(actor.rights, "sites.read")
    named = devices.many(tx, [part for level, part in keys if level == DEVICE])
    here = devices.seen(tx, device_reach, named) if device_reach else frozenset()
    for level, part in keys:
        if level == GROUP:
            found[level, part] = seen_groups[part].name if part in seen_groups else HIDDEN
        elif level == SITE:
            site = sites.find(tx, site_reach, part) if site_reach else None
            found[level, part] = site.name if site is not None else HIDDEN
        elif level == DEVICE:
            found[level, part] = named[part].name if part in here else HIDDEN
        else:
            found[level, part] = ""
    return found


# --- which releases -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Standing:
    """A deployment that stands, its plan and release, and the devices that have it or were left out of it."""

    deployment: Deployment
    plan: Plan
    release: Release
    devices: frozenset[str]


def _standing(plane: Plane, tx: Tx, app: str, among: frozenset[str] | None) -> tuple[Standing, ...]:
    """The deployments of an app, each with its devices under a level."""
    found = []
    for deployment in deployments.all_of(tx, app, STANDING):
        plan = deployments.plan(tx, deployment.id, deployment.plan)
        if plan is None:
            continue
        mine = set(rollout_store.assigned_of(tx, deployment.id))
        former = rollout_store.of_deployment(tx, deployment.id)
        if former:
            mine |= {one.device for one in rollout_store.members_of(tx, former[0].id)}
        release, _ = catalog.release_of(plane, tx, plan.release)
        found.append(Standing(deployment, plan, release, frozenset(mine if among is None else mine & among)))
    return tuple(found)


def _asked(tx: Tx, app: str, found: Sequence[Standing]) -> tuple[Release, ...]:
    """The releases whose parameters are meant, the newest first: those deployed under the level, else those deployed anywhere, else the newest there is."""
    meant = [one.release for one in found if one.devices] or [one.release for one in found]
    if not meant:
        row = releases.newest_of(tx, app)
        meant = [load(row.document)] if row is not None else []
    return tuple({one.version: one for one in reversed(meant)}.values())


def _parameters(meant: Sequence[Release]) -> dict[str, Parameter]:
    found: dict[str, Parameter] = {}
    for release in meant:
        for one in release.every_parameter:
            found.setdefault(one.name, one)
    return found


def declared_of(one: Parameter) -> Declared:
    """What a parameter is, declared or not."""
    return one.declared or Declared(type=SECRET if one.secret else "text", required=one.required)


# --- look ---------------------------------------------------------------------------------------------------------------


def table(plane: Plane, actor: Actor, *, app: str, level: str, part: str = "", name: str = "") -> ParameterTable:
    """Every parameter of an app (or the one named) at a level: what holds there and which level gave it, and what levels below say otherwise. Raises Missing."""

    def work(tx: Tx) -> ParameterTable:
        where = _where(tx, actor, app, level, part)
        permit(actor, "deployments.read", where.target)
        found = _standing(plane, tx, app, where.devices)
        meant = _asked(tx, app, found)
        wanted = _parameters(meant)
        if name:
            if name not in wanted:
                raise missing("parameter", name)
            wanted = {name: wanted[name]}
        levels = valued.newest(plane, tx, app)
        mine = [one for one in found if one.devices]
        plan = mine[0].plan if len(mine) == 1 else None
        place = _place(tx, levels, where)
        told = _told(tx, actor, levels)
        rows = tuple(_row(one, levels, place, plan, where, told) for one in wanted.values())
        may = isinstance(rights.may(actor.rights, "parameters.write", where.target), rights.Allow)
        touches = len(frozenset().union(*(one.devices for one in found)))
        return ParameterTable(app, where.level, where.part, where.name, rows, may, touches, tuple(one.version for one in meant))

    return plane.db.view(work)


def _place(tx: Tx, levels: Levels, where: Where) -> Place:
    if where.level == DEVICE:
        return Place(where.part, where.site, groups.groups_of(tx, where.part) if levels.groups else frozenset())
    if where.level == SITE:
        return Place("", where.part)
    return Place("", "", frozenset({where.part}) if where.level == GROUP else frozenset())


def _told(tx: Tx, actor: Actor, levels: Levels) -> dict[tuple[str, str], str]:
    return _names(tx, actor, {key for lines in levels.given.values() for key in lines})


def _row(one: Parameter, levels: Levels, place: Place, plan: Plan | None, where: Where, told: Mapping[tuple[str, str], str]) -> ParameterRow:
    said = layers(levels, place, one.name, plan.values if plan is not None else {}, plan.secrets if plan is not None else {})
    why = ""
    winner: Source | None = None
    try:
        winner = holds(said, one.name)
    except Ambiguous as fault:
        why = f"groups {' and '.join(sorted(told.get((GROUP, part), part) for part in fault.groups))} give different values; {valued.REMEDY}"
    shown = tuple(_layer(source, told, one.secret, holds=source is winner) for source in said)
    rank = {FLEET: 0, GROUP: 1, SITE: 2, DEVICE: 3}
    below = tuple(
        _layer(Source(level, part, line.value, line.version, line), told, one.secret, holds=False)
        for (level, part), line in sorted(levels.given.get(one.name, {}).items(), key=lambda item: (rank[item[0][0]], item[0]))
        if rank[level] > rank[where.level] and (where.devices is None or level != DEVICE or part in where.devices) and where.level in (FLEET, SITE, GROUP)
    )
    below = tuple(layer for layer in below if where.level == FLEET or layer.level == DEVICE)
    return ParameterRow(one.name, one.secret, one.required, None if one.secret else _default(one), one.message, declared_of(one), shown, below, why)


def _default(one: Parameter) -> str | None:
    return one.declared.default if one.declared is not None and one.declared.default is not None else one.default


def _layer(source: Source, told: Mapping[tuple[str, str], str], secret: bool, *, holds: bool) -> Layer:  # noqa: FBT001 - of the parameter, no switch
    line = source.given
    name = told.get((source.level, source.part), "")
    value = None if secret or source.version else source.value
    return Layer(source.level, source.part if name != HIDDEN else "", name, value, holds, line.at_ms if line else 0, line.by if line else "")


# --- change -------------------------------------------------------------------------------------------------------------


def preview(
    plane: Plane,
    actor: Actor,
    *,
    app: str,
    level: str,
    part: str = "",
    values: Mapping[str, str] | None = None,
    secrets: Mapping[str, str] | None = None,
    clear: Sequence[str] = (),
) -> ValuePreview:
    """What setting `values` and `secrets` and clearing others at a level would do, device by device. Changes nothing. Raises what `change` would."""

    def work(tx: Tx) -> ValuePreview:
        where = _where(tx, actor, app, level, part)
        permit(actor, "deployments.read", where.target)
        return _change(plane, tx, actor, app, where, values or {}, secrets or {}, clear).seen

    return plane.db.view(work)


def change(
    plane: Plane,
    actor: Actor,
    *,
    app: str,
    level: str,
    part: str = "",
    values: Mapping[str, str] | None = None,
    secrets: Mapping[str, str] | None = None,
    clear: Sequence[str] = (),
    reason: str = "",
) -> ValuePreview:
    """Set values at a level, and clear others there so that what the wider levels say holds again; all of it or nothing. What it did, as `preview` says it.
    Raises Invalid for what a release does not ask for or does not allow, Conflict where a device could not be given what results."""

    def work(tx: Tx) -> ValuePreview:
        where = _where(tx, actor, app, level, part)
        permit(actor, "parameters.write", where.target)
        made = _change(plane, tx, actor, app, where, values or {}, secrets or {}, clear)
        for name, version in made.sealed.items():
            owner = valued.owner_of(app)
            vaulted = plane.vault.put((secrets or {})[name].encode("utf-8"), catalog.vault_bound(owner, name, version))
            parameters.put_secret(tx, app, name, version, vaulted)
        parameters.add(tx, [replace(line, by=actor.name, reason=reason) for line in made.lines])
        note(
            plane,
            tx,
            actor,
            "parameters.changed",
            app,
            app=app,
            site=where.site,
            reason=reason,
            data={"level": str(where), "set": _list(made, says=True), "cleared": _list(made, says=False), "devices": str(len(made.moving))},
            topics=[("parameters", app), ("fleet", app)],
        )
        rollouts.revalue(plane, tx, app, made.moving)
        return made.seen

    return plane.db.update(work)


@dataclass(frozen=True, slots=True)
class Change:
    """A change of values, worked out: the lines it adds, versions of new secrets, the devices whose content changes, and how it is shown."""

    lines: tuple[Given, ...]
    sealed: dict[str, str]
    moving: frozenset[str]
    seen: ValuePreview


def _list(made: Change, *, says: bool) -> str:
    return ", ".join(f"{line.name}={line.value}" if line.value is not None else line.name for line in made.lines if line.says == says)[:2000]


def _change(plane: Plane, tx: Tx, actor: Actor, app: str, where: Where, values: Mapping[str, str], secrets: Mapping[str, str], clear: Sequence[str]) -> Change:
    found = _standing(plane, tx, app, where.devices)
    canonical = _checked(_asked(tx, app, found), app, values, secrets, clear)
    at = parameters.newest(tx, app)
    before = parameters.history(tx, app, at)
    levels = standing(before)
    sealed = {name: plane.ids.secret()[:12] for name in secrets}
    now = plane.clock.now_ms()
    lines: list[Given] = []
    for name in sorted({*canonical, *sealed, *clear}):
        line = Given(app, at + len(lines) + 1, plane.ids.new("val"), where.level, where.part, name, canonical.get(name), sealed.get(name, ""), now)
        old = levels.given.get(name, {}).get((where.level, where.part))
        if name in clear and old is None:
            raise Conflict("value-not-set", f"{where} says nothing of {name}", field=f"clear.{name}", remedy="it is set elsewhere: see where with `explain`")
        if old is None or old.said != line.said:
            lines.append(line)
    if not lines:
        raise Conflict("nothing-changes", f"{where} says exactly this already", field="values")
    if at + len(lines) > MOST_LINES:
        raise Conflict("history-full", f"values of {app} were changed {at} times, and more than {MOST_LINES} are not kept")
    after = standing((*before, *lines))
    rows, moving, warnings = _effects(plane, tx, found, levels, after, [line.name for line in lines])
    counts: dict[str, int] = {}
    reach = visible.reach_into(actor, app)
    here = {device for device, *_ in devices.labels(tx, reach)} if not reach.whole else None
    told = _told(tx, actor, after) | _told(tx, actor, levels)
    shown = [_named(one, told) for one in rows if here is None or one.device in here]
    for one in shown:
        counts[one.what] = counts.get(one.what, 0) + 1
    said = {name: levels.given.get(name, {}).get((where.level, where.part)) for name in sorted({*values, *secrets, *clear})}
    seen = ValuePreview(
        app,
        where.level,
        where.part,
        where.name,
        {**canonical, **dict.fromkeys(sorted({*sealed, *clear}))},
        {name: line.value if line is not None else None for name, line in said.items()},
        tuple(sorted(shown, key=lambda one: (one.what == "unchanged", one.name))[:PREVIEWED]),
        counts,
        warnings,
    )
    return Change(tuple(lines), {line.name: line.version for line in lines if line.version}, moving, seen)


def _named(row: ValueRow, told: Mapping[tuple[str, str], str]) -> ValueRow:
    """A row with parts by name: levels come as "site:site_1"."""

    def words(text: str) -> str:
        level, _, part = text.partition(":")
        return f"{level} {told.get((level, part), '')}".strip() if part else level

    return replace(row, changes=tuple(replace(one, before_level=words(one.before_level), after_level=words(one.after_level)) for one in row.changes))


def _checked(meant: Sequence[Release], app: str, values: Mapping[str, str], secrets: Mapping[str, str], clear: Sequence[str]) -> dict[str, str]:
    """The values in canonical form. Raises Invalid with the parameter named, what was given and what is allowed."""
    known = _parameters(meant)
    names = [*values, *secrets, *clear]
    if not names:
        raise Invalid("values-empty", "no parameter is named", field="values", remedy="name at least one to set or to clear")
    if len(names) > MOST_NAMES or len(set(names)) < len(names):
        raise Invalid("values-unclear", f"each parameter is named once, {MOST_NAMES} at most", field="values")
    for name in (*values, *secrets):
        if name not in known:
            offered = ", ".join(sorted(known)) or "none"
            raise Invalid("parameter-unknown", f"{app} has no parameter {name[:60]!r}", field=f"values.{name[:60]}", remedy=f"its parameters are: {offered}")
    canonical: dict[str, str] = {}
    for release in meant:
        for one in release.every_parameter:
            for given, secret in ((values, False), (secrets, True)):
                if one.name not in given:
                    continue
                if one.secret != secret:
                    why = f"{one.name} is a secret in release {release.version}" if one.secret else f"{one.name} is no secret in release {release.version}"
                    remedy = "give it as a secret, so that it travels sealed" if one.secret else "give it as an ordinary value"
                    raise Invalid("values-do-not-fit", why, field=f"values.{one.name}", remedy=remedy)
                try:
                    text = judged(one, given[one.name])
                except ComposeError as fault:
                    raise catalog.values_refused(fault) from None
                if not secret:
                    canonical.setdefault(one.name, text)
    return canonical


def _effects(
    plane: Plane, tx: Tx, found: Sequence[Standing], before: Levels, after: Levels, names: Sequence[str]
) -> tuple[list[ValueRow], frozenset[str], tuple[str, ...]]:
    """Every device under the level: what changes. Raises Conflict for one that is well now and could not be given what results."""
    rows: list[ValueRow] = []
    moving: set[str] = set()
    told: dict[str, list[str]] = {}
    for one in found:
        concerned = devices.many(tx, one.devices)
        assigned = rollout_store.assigned_of(tx, one.deployment.id)
        there = fitting.beside(plane, tx, sorted(concerned))
        for device in sorted(concerned.values(), key=lambda device: device.name):
            if device.state == "retired" or catalog.unfit(one.release, device):
                continue
            try:
                filled = catalog.fill(plane, tx, one.plan, device, after)
                why = fitting.refusal(plane, one.release, filled, device, there[device.id])
            except Refused as refusal:
                filled, why = None, refusal.why
            row = _effect(plane, tx, one, device, before, after, names, filled, why)
            if row.what == "left-out" and device.id in assigned:
                raise Conflict(
                    "value-does-not-fit",
                    f"on {device.name} ({one.deployment.name}): {why}",
                    field=f"values.{names[0]}" if len(names) == 1 else "values",
                    remedy="give another value, or give this device one of its own first",
                )
            rows.append(row)
            if row.what in ("update", "install"):
                moving.add(device.id)
            if filled is not None:
                for warning in fitting.judged(plane, one.release, filled, device, there[device.id]).warnings if row.what == "update" else ():
                    told.setdefault(warning, []).append(device.name)
        former = rollout_store.of_deployment(tx, one.deployment.id)
        if former and former[0].state == "stopped" and one.devices:
            told.setdefault(f"the rollout of {one.deployment.name} is stopped: its devices keep what they have until the deployment is changed", [])
    return rows, frozenset(moving), tuple(why + (f" ({', '.join(sorted(many)[:5])})" if many else "") for why, many in list(told.items())[:20])


def _effect(
    plane: Plane,
    tx: Tx,
    one: Standing,
    device: Device,
    before: Levels,
    after: Levels,
    names: Sequence[str],
    filled: catalog.Filled | None,
    why: str,
) -> ValueRow:
    site = catalog.site_name(plane, tx, device.site)
    changes = tuple(found for name in names if (found := _from_to(tx, one, device, before, after, name)) is not None)
    if filled is None or why:
        return ValueRow(device.id, device.name, site, one.deployment.name, "left-out", why, changes)
    try:
        now = catalog.fill(plane, tx, one.plan, device, before)
    except Refused:
        return ValueRow(device.id, device.name, site, one.deployment.name, "install", "it was left out until now", changes)
    if now.content == filled.content:
        return ValueRow(
            device.id, device.name, site, one.deployment.name, "unchanged", "another level says it more closely, or nothing there asks for it", changes
        )
    made = between_states(now.state, filled.state, device.platforms[0] if device.platforms else "")
    return ValueRow(device.id, device.name, site, one.deployment.name, "update", "", changes, tuple(made.restarted))


def _from_to(tx: Tx, one: Standing, device: Device, before: Levels, after: Levels, name: str) -> ValueChange | None:
    parameter = next((found for found in one.release.of(device.engine).parameters if found.name == name), None)
    if parameter is None:
        return None
    sides: list[tuple[str | None, str, tuple[str | None, str]]] = []
    for levels in (before, after):
        try:
            source = holds(layers(levels, valued.place_of(tx, levels, device), name, one.plan.values, one.plan.secrets), name)
        except Ambiguous:
            source = None
        if source is None:
            sides.append((None if parameter.secret else _default(parameter), "default" if _default(parameter) is not None else "", (None, "")))
        else:
            level = f"{source.level}:{source.part}" if source.part else source.level
            sides.append((None if parameter.secret else source.value, level, (source.value, source.version)))
    (old, old_level, was), (new, new_level, becomes) = sides
    if (was, old_level) == (becomes, new_level):
        return None
    return ValueChange(name, old, old_level, new, new_level)


# --- where something is said --------------------------------------------------------------------------------------------


def apps_of(plane: Plane, actor: Actor, *, level: str, part: str) -> tuple[str, ...]:
    """The apps that stand under a level, or that something was said of there, as far as the actor may see them: whose tables its page shows. Raises Missing."""

    def work(tx: Tx) -> tuple[str, ...]:
        where = _found(tx, actor, "", level, part)
        if not rights.reach(actor.rights, "deployments.read"):
            return ()
        seen = visible.apps_seen(tx, actor)
        among = devices.ids(tx) if where.devices is None else sorted(where.devices)
        owed = rollout_store.assigned_to(tx, list(among))
        names = {one.app for many in owed.values() for one in many} | set(parameters.apps_at(tx, where.part))
        known = (name for name in sorted(names) if seen is None or name in seen)
        return tuple(name for name in known if isinstance(rights.may(actor.rights, "deployments.read", replace(where.target, app=name)), rights.Allow))

    return plane.db.view(work)
