"""The values that hold on a device: what its deployment says, and what is said at the levels above and below it.

Owns loading the levels of an app, and gathering values, secrets' versions and facts for one device. Which level wins is `core.levels`' business.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from penstock.server.actions.context import Plane
from penstock.server.actions.remembering import remember
from penstock.server.core.errors import Conflict
from penstock.server.core.facts import PREFIX, Site, architecture_of
from penstock.server.core.levels import NOTHING, Ambiguous, Levels, Place, chosen, standing
from penstock.server.core.model import Device, Lean, Plan
from penstock.server.core.release import Release
from penstock.server.core.rights import EVERYWHERE
from penstock.server.store import devices, groups, parameters, sites
from penstock.server.store.db import Tx


@dataclass(frozen=True, slots=True)
class Held:
    """Values and versions of secrets by name. `owners`: whose a secret is, a deployment's id or `owner_of` an app."""

    values: dict[str, str]
    secrets: dict[str, str]
    owners: dict[str, str]


def owner_of(app: str) -> str:
    """What secrets at the levels of an app are sealed under."""
    return f"app/{app}"


def levels_at(plane: Plane, tx: Tx, app: str, number: int) -> Levels:
    """What the levels said as of a line of the app's history."""
    if not number:
        return NOTHING
    # A transaction that was rolled back may have used this number too: the line's own id tells them apart.
    found: Levels = remember(plane, ("levels", app, parameters.mark(tx, app, number)), lambda: standing(parameters.history(tx, app, number)))
    return found


def newest(plane: Plane, tx: Tx, app: str) -> Levels:
    """What the levels say now."""
    return levels_at(plane, tx, app, parameters.newest(tx, app))


def apps_on(plane: Plane, tx: Tx, level: str, part: str) -> tuple[str, ...]:
    """The apps that a group, site or device gives values now, by name."""
    return tuple(app for app in parameters.apps_at(tx, part) if any((level, part) in lines for lines in newest(plane, tx, app).given.values()))


def place_of(tx: Tx, levels: Levels, device: Device | Lean) -> Place:
    """Where a device stands among the levels; its groups only where any group says something."""
    return Place(device.id, device.site, groups.groups_of(tx, device.id) if levels.groups else frozenset())


def held(tx: Tx, release: Release, plan: Plan, device: Device | Lean, levels: Levels) -> Held:
    """What holds on a device. What levels say of parameters that this release has not is left out, and so is what a plan says for other engines' parts of
    it. Raises Conflict where groups disagree."""
    if release.parts:
        names = {one.name for one in release.of(device.engine).parameters}
        own = {name: value for name, value in plan.values.items() if name in names}
        plan = replace(plan, values=own, secrets={name: version for name, version in plan.secrets.items() if name in names})
    if not levels.given:
        return Held(plan.values, plan.secrets, dict.fromkeys(plan.secrets, plan.deployment))
    names = {one.name for one in release.of(device.engine).parameters}
    try:
        found = chosen(levels, place_of(tx, levels, device), names & levels.given.keys(), plan.values, plan.secrets)
    except Ambiguous as fault:
        raise Conflict("parameter-ambiguous", ambiguous(tx, device.name, fault), field=f"values.{fault.name}", remedy=REMEDY) from None
    values = {name: value for name, value in plan.values.items() if name not in found}
    secrets = {name: version for name, version in plan.secrets.items() if name not in found}
    owners = dict.fromkeys(secrets, plan.deployment)
    for name, source in found.items():
        if source.value is not None:
            values[name] = source.value
        else:
            secrets[name] = source.version
            owners[name] = owner_of(release.app) if source.given is not None else plan.deployment
    return Held(values, secrets, owners)


REMEDY = "say it at the device or at its site, which comes before any group; or let the groups say the same"


def ambiguous(tx: Tx, device: str, fault: Ambiguous) -> str:
    """The sentence about groups that disagree."""
    names = sorted(found.name if (found := groups.find(tx, EVERYWHERE, one)) is not None else one for one in fault.groups)
    return f"{device} is in the groups {' and '.join(names)}, and they give {fault.name} different values"


def asks(values: dict[str, str]) -> bool:
    """Whether any of these values asks for a fact."""
    return any(PREFIX in value for value in values.values())


def site_of(tx: Tx, device: Device | Lean, *, own: bool) -> Site:
    """The facts of a device; those that cost a look only where they are asked for (`own`)."""
    if not own:
        return Site("", "", "")
    site = sites.find(tx, EVERYWHERE, device.site)
    labels = device.labels if isinstance(device, Device) else devices.labels_of(tx, [device.id]).get(device.id, {})
    name, title, zone = (site.name, site.title, site.time_zone) if site is not None else (device.site, "", "")
    return Site(device.name, device.id, name, title, zone, architecture_of(device.platforms), tuple(sorted(labels.items())))
