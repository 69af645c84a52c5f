"""How a device stands, in one row: the worst of what it last said of itself and of its apps.

Owns the order of badness and the sentence shown first. Never judges whether the device is heard of (see `liveness`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from penstock.server.core.model import ACTIVE, Device, DeviceStatus, Seen
from penstock.wire.log import AppObservation, DeviceObservation
from penstock.wire.record import fields_of

# Worse sorts first. The steps leave room for windows and holds.
SEVERITY = {
    "failed": 80,
    "reverting": 70,
    "applying": 40,
    "claimed": 38,
    "confirmed": 36,
    "removing": 34,
    "waiting": 30,
    "fetching": 25,
    "pending": 20,
    "soaked": 0,
    "removed": 0,
}
QUARANTINED, REVIEW, ILL, ALARM, SILENT, DRIFT, NO_WAY_BACK, PINNED, IDLE = 100, 95, 78, 75, 65, 60, 50, 45, 5


@dataclass(frozen=True, slots=True)
class Plight:
    """What the plane itself holds against a device: its state, why, and the sentence of a review."""

    state: str = ACTIVE
    why: str = ""
    review: str = ""


_NAMES = fields_of(DeviceStatus)
_values = attrgetter(*_NAMES)


def _with(status: DeviceStatus, **changes: Any) -> DeviceStatus:
    """`dataclasses.replace`, in a third of its time: this is done with every report."""
    return DeviceStatus(**{**dict(zip(_NAMES, _values(status), strict=True)), **changes})


SETTLED = ("confirmed", "soaked", "failed")  # phases in which every service should be up; in the others a change is under way
LOOPS = 3  # restarts by the engine, after which a service that ended badly counts as starting over and over


def ill_services(one: AppObservation) -> tuple[tuple[str, bool, str], ...]:
    """(service, whether it starts over and over, why) of each service that is not well although it should be."""
    if one.phase not in SETTLED or one.removed:
        return ()
    found = []
    for service in one.services:
        down = service.state in ("restarting", "dead", "paused", "missing") or (service.state == "exited" and service.exit_code != 0)
        if down or service.health == "unhealthy":
            loops = service.state == "restarting" or (down and service.restarts >= LOOPS)
            found.append((service.service, loops, service.why or (f"it is {service.state}" if down else "its health check fails")))
    return tuple(found)


def seen_of(one: AppObservation) -> Seen:
    """The gist of an observation."""
    back = one.way_back
    way_back = "ok" if back.ok else "missing" if back.version or back.content else "none"
    return Seen(one.app, one.phase, one.content, one.target, one.pinned, one.removed, one.why, len(one.drift), way_back, len(ill_services(one)))


def summary(device: Plight | Device, status: DeviceStatus, apps: Iterable[Seen]) -> DeviceStatus:
    """The row anew, from what is held of the device and its apps. Keeps what other functions own (seen, liveness, lost)."""
    shown = [app for app in apps if not app.removed]
    worst, phase, why = IDLE, "none", "nothing is deployed here"
    drift = pinned = ill = 0
    back = "none"
    for app in sorted(shown, key=lambda one: one.app):
        grade = SEVERITY.get(app.phase, 80)
        if worst == IDLE or grade > worst:
            worst, phase, why = grade, app.phase, f"{app.app}: {app.why}"
        drift += app.drift
        pinned += app.pinned
        ill += app.ill
        if app.way_back == "missing" or (app.way_back == "ok" and back == "none"):
            back = app.way_back
    for grade, holds, word in (
        (PINNED, pinned > 0, "somebody at the device went back, and the centre has not agreed"),
        (NO_WAY_BACK, back == "missing", "there is no way back"),
        (DRIFT, drift > 0, f"{drift} field{'s differ' if drift != 1 else ' differs'} from what was ordered"),
        (ALARM, bool(status.alarms) or not status.engine_ok, status.alarms[0] if status.alarms else "its container engine does not answer"),
        (ILL, ill > 0, f"{ill} service{'s are' if ill != 1 else ' is'} not well"),
        (REVIEW, bool(device.review), device.review),
        (QUARANTINED, device.state != ACTIVE, device.why or device.state),
    ):
        if holds and grade >= worst:
            worst, why = grade, word
    return _with(status, severity=worst, phase=phase, why=why[:500], drift=drift, pinned=pinned, way_back=back, apps=len(shown), ill=ill)


def badness(status: DeviceStatus) -> int:
    """Where it stands in a list, worst first: what it last said, or that nothing is heard of it, whichever is worse."""
    return max(status.severity, SILENT) if status.liveness == "silent" else status.severity


def observed(status: DeviceStatus, seen: DeviceObservation, at_ms: int) -> DeviceStatus:
    """The row after the device spoke of itself."""
    return _with(
        status,
        epoch=seen.epoch,
        generation=seen.generation,
        alarms=seen.alarms,
        strangers=seen.strangers,
        disk_free_bytes=seen.disk_free_bytes,
        engine_ok=seen.engine_ok,
        reported_ms=at_ms,
    )
