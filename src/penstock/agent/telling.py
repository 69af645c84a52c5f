"""What the agent tells of its state: observations for the device log, and answers for the person at the device.

Owns the shape of both. The same facts feed both, so that a screen at the machine and a page at the centre never disagree. Decides nothing.
"""

from __future__ import annotations

from penstock.rules.drift import drift
from penstock.rules.health import fitting_unit, has_rule, status_of, verdict
from penstock.rules.ours import owned
from penstock.rules.wayback import way_back
from penstock.wire.codec import canonical, to_plain
from penstock.wire.log import AppObservation, DeviceObservation, DriftItem, WayBack
from penstock.wire.record import record, replace
from penstock.wire.types import content_digest, sha256_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from penstock.rules.answers import Answer, ProbeView
    from penstock.rules.look import Look
    from penstock.rules.memory import AppMemory
    from penstock.wire.log import ServiceStatus
    from penstock.wire.types import AppState

MEGABYTE = 1024 * 1024


@record
class View:
    """What the planner last said of an app."""

    phase: str = "pending"
    why: str = "not looked at yet"
    reason: str = ""


def observe_app(
    memory: AppMemory, desired: AppState | None, releases: dict[str, AppState], view: View, look: Look, device: str, probes: dict[str, ProbeView]
) -> AppObservation:
    """One app as it stands."""
    change = memory.change
    shown = _shown(memory, releases)
    services: tuple[ServiceStatus, ...] = ()
    items: tuple[DriftItem, ...] = ()
    if shown is not None and look.seen.engine_ok:
        mine = owned(memory, look.seen, device)
        found = []
        for service in shown.services:
            unit = fitting_unit(memory, service.name, mine)
            container = mine.get(unit.token) if unit else None
            found.append(status_of(verdict(shown, service, unit, container, probes), container))
        services = tuple(found)
        if change is None:
            policy = desired.drift if desired is not None else shown.drift
            items = drift(memory, replace(shown, drift=policy), look, device).items
    running = releases.get(memory.running)
    target_content, target = _target(memory, desired, releases)
    return AppObservation(
        app=memory.app,
        deployment=desired.deployment if desired is not None else memory.deployment,
        phase=view.phase,
        why=view.why[:2000],
        version=running.version if running else "",
        content=memory.running,
        target=target_content,
        target_version=target.version if target else "",
        services=services,
        drift=items,
        way_back=way_back(memory, releases, look) if look.seen.engine_ok else WayBack(ok=False, why="the engine does not answer, so nobody can say"),
        pinned=memory.pin is not None,
        health_rule=change.health_rule if change is not None else (has_rule(shown) if shown else True) or any(one.health == "healthy" for one in services),
    )


def _shown(memory: AppMemory, releases: dict[str, AppState]) -> AppState | None:
    """The release whose services are looked at: during a change the one it moves to."""
    change = memory.change
    if change is not None and change.stage == "reverting":
        return releases.get(change.back)
    if change is not None and change.target:
        return releases.get(change.target)
    return releases.get(memory.running)


def _target(memory: AppMemory, desired: AppState | None, releases: dict[str, AppState]) -> tuple[str, AppState | None]:
    if memory.change is not None and memory.change.target != memory.running:
        return memory.change.target, releases.get(memory.change.target)
    if desired is not None and content_digest(desired) != memory.running:
        return content_digest(desired), desired
    return "", None


def fingerprint(seen: AppObservation | DeviceObservation) -> str:
    """What must differ for an observation to be worth a new entry: numbers that creep and words of a passing check do not count."""
    if isinstance(seen, AppObservation):
        services = tuple(replace(one, why="" if one.health in ("healthy", "starting", "none") else one.why) for one in seen.services)
        total = seen.total_bytes or 1
        return sha256_of(canonical(to_plain(replace(seen, services=services, fetched_bytes=seen.fetched_bytes * 10 // total))))[7:23]
    return sha256_of(canonical(to_plain(replace(seen, disk_free_bytes=_coarse(seen.disk_free_bytes)))))[7:23]


def _coarse(free: int) -> int:
    """Powers of two: a disk that slowly fills is news when half of what was left is gone."""
    return max(free, 0).bit_length()


def phase_of(answer: Answer, memory: AppMemory, desired: AppState | None) -> View:
    """What an answer of the planner says for people."""
    from penstock.rules.answers import Wait
    from penstock.rules.phases import phase

    if isinstance(answer, Wait):
        return View(answer.phase, answer.why, answer.reason)
    return View(phase(memory, desired), answer.why)


def status_data(device: dict[str, Any], apps: list[AppObservation]) -> dict[str, Any]:
    """What `status` answers, JSON-ready."""
    return {**device, "apps": [to_plain(app) for app in apps]}


def sentences(app: AppObservation) -> list[str]:
    """What `why` answers for one app: one sentence after the other."""
    said = [f"{app.app}: {app.why}"]
    if app.version:
        said.append(f"version {app.version} runs")
    if app.target_version and app.target_version != app.version:
        said.append(f"version {app.target_version} is asked for")
    if app.pinned:
        said.append("somebody went back at this device; it stays so until the plane agrees")
    said.extend(f"service {one.service}: {one.state}, {one.health}" + (f" ({one.why})" if one.why else "") for one in app.services)
    said.extend(f"drift: {one.service} {one.field} should be {one.wanted}, is {one.seen} ({one.action})" for one in app.drift)
    back = app.way_back
    said.append(f"way back: version {back.version}" if back.ok and back.version else f"way back: {back.why}")
    return said
