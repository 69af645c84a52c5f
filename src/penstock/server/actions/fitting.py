"""Whether an app can stand on a device beside the others there: clashes and room.

Owns gathering what the other apps of a device lay claim to and take, and asking `core.clashes` and `core.fit`, and `core.able` whether agent and engine there
know what the app asks for. What stands already is never judged anew: only what is about to be ordered is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from penstock.server.actions import catalog, valued
from penstock.server.actions.context import Plane
from penstock.server.actions.remembering import remember
from penstock.server.core.able import unable
from penstock.server.core.clashes import Claims, between, claims_of
from penstock.server.core.errors import Refused
from penstock.server.core.fit import Capacity, Room, Verdict, capacity_of, fits, room_of
from penstock.server.core.levels import Levels
from penstock.server.core.model import Device, Lean, Plan
from penstock.server.core.needs import accelerators_of
from penstock.server.core.release import Release
from penstock.server.store import deployments, devices, status
from penstock.server.store import rollouts as rollout_store
from penstock.server.store.db import Tx
from penstock.wire.messages import Facts


@dataclass(frozen=True, slots=True)
class Beside:
    """What stands on a device: what it says of itself and has, what each app there takes and claims, the app in question included."""

    facts: Facts
    has: Capacity
    rooms: dict[str, Room]
    claims: dict[str, Claims]


def _parts(plane: Plane, release: Release, filled: catalog.Filled, platforms: tuple[str, ...]) -> tuple[Room, Claims]:
    def make() -> tuple[Room, Claims]:
        needs = release.of(filled.part).needs
        return room_of(filled.state, needs, platforms), claims_of(filled.state, needs)

    found: tuple[Room, Claims] = remember(plane, ("takes", filled.content, filled.state.release, filled.part, platforms), make)
    return found


def beside(plane: Plane, tx: Tx, among: Iterable[str]) -> dict[str, Beside]:
    """What stands on each of these devices. An app whose document cannot be made is passed over: what it takes is not known."""
    names = list(among)
    full = devices.many(tx, names)
    free = status.disk_free(tx, names)
    owed = rollout_store.assigned_to(tx, names)
    found: dict[str, Beside] = {}
    ordered: dict[tuple[str, int, int], tuple[Plan | None, Levels]] = {}
    for name in names:
        device = full[name]
        rooms: dict[str, Room] = {}
        claims: dict[str, Claims] = {}
        for one in owed[name]:
            key = one.deployment, one.plan, one.values_at
            if key not in ordered:
                ordered[key] = deployments.plan(tx, one.deployment, one.plan), valued.levels_at(plane, tx, one.app, one.values_at)
            taken = _taken(plane, tx, *ordered[key], device)
            if taken is not None:
                rooms[one.app], claims[one.app] = taken
        found[name] = Beside(device.facts, capacity_of(device.facts, free.get(name, 0)), rooms, claims)
    return found


def _taken(plane: Plane, tx: Tx, plan: Plan | None, levels: Levels, device: Device) -> tuple[Room, Claims] | None:
    if plan is None:
        return None
    try:
        filled = catalog.fill(plane, tx, plan, device, levels)
    except Refused:
        return None
    release, _ = catalog.release_of(plane, tx, plan.release)
    return _parts(plane, release, filled, device.platforms)


def clashes(release: Release, mine: Claims, there: Beside) -> tuple[str, ...]:
    """The clashes with other apps on a device, as sentences with their remedy."""
    have = None if there.has.nodes is None else dict(accelerators_of(there.has.nodes))
    others = [claims for app, claims in sorted(there.claims.items()) if app != release.app]
    before = there.claims.get(release.app)
    stood = {(one.kind, one.what, one.apps) for claims in others for one in (between(before, claims, have) if before is not None else ())}
    fresh = [one for claims in others for one in between(mine, claims, have) if (one.kind, one.what, one.apps) not in stood]
    return tuple(f"{one.why}: {one.remedy}" for one in fresh)


def judged(plane: Plane, release: Release, filled: catalog.Filled, device: Device | Lean, there: Beside) -> Verdict:
    """Whether a filled-in release can stand on a device: what agent or engine do not know, clashes and what is
    certain not to fit refuse, the rest is said."""
    room, claims = _parts(plane, release, filled, device.platforms)
    verdict = fits(there.has, room, there.rooms.values(), there.rooms.get(release.app))
    return Verdict((*unable(filled.state, there.facts), *clashes(release, claims, there), *verdict.refusals), verdict.warnings)


def refusal(plane: Plane, release: Release, filled: catalog.Filled, device: Device | Lean, there: Beside) -> str:
    """Why it cannot stand there; empty where it can."""
    return "; ".join(judged(plane, release, filled, device, there).refusals)
