"""How a device stands, in one row: the worst of what it last said of itself and of its apps.

Owns the order of badness and the sentence shown first. Never judges whether the device is heard of (see `liveness`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from penstock.server.core.model import ACTIVE, AppStatus, Device, DeviceStatus
from penstock.wire.log import DeviceObservation

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
QUARANTINED, REVIEW, ALARM, DRIFT, NO_WAY_BACK, PINNED, IDLE = 100, 95, 75, 60, 50, 45, 5


def summary(device: Device, status: DeviceStatus, apps: Iterable[AppStatus]) -> DeviceStatus:
    """The row anew, from what is held of the device and its apps. Keeps what other functions own (seen, liveness, lost)."""
    shown = [app for app in apps if not app.observed.removed]
    worst, phase, why = IDLE, "idle", "nothing is deployed here"
    drift = pinned = 0
    back = "none"
    for app in sorted(shown, key=lambda one: one.app):
        seen = app.observed
        grade = SEVERITY.get(app.phase, 80)
        if worst == IDLE or grade > worst:
            worst, phase, why = grade, app.phase, f"{app.app}: {seen.why}"
        drift += len(seen.drift)
        pinned += seen.pinned
        if not seen.way_back.ok and (seen.version or seen.content):
            back = "missing" if seen.way_back.version or seen.way_back.content else ("none" if back != "missing" else back)
        elif seen.way_back.ok and back != "missing":
            back = "ok"
    for grade, holds, word in (
        (PINNED, pinned > 0, "somebody at the device went back, and the centre has not agreed"),
        (NO_WAY_BACK, back == "missing", "there is no way back"),
        (DRIFT, drift > 0, f"{drift} field{'s differ' if drift != 1 else ' differs'} from what was ordered"),
        (ALARM, bool(status.alarms) or not status.engine_ok, status.alarms[0] if status.alarms else "its container engine does not answer"),
        (REVIEW, bool(device.review), device.review),
        (QUARANTINED, device.state != ACTIVE, device.why or device.state),
    ):
        if holds and grade >= worst:
            worst, why = grade, word
    return replace(status, severity=worst, phase=phase, why=why[:500], drift=drift, pinned=pinned, way_back=back, apps=len(shown))


def observed(status: DeviceStatus, seen: DeviceObservation, at_ms: int) -> DeviceStatus:
    """The row after the device spoke of itself."""
    return replace(
        status,
        epoch=seen.epoch,
        generation=seen.generation,
        alarms=seen.alarms,
        strangers=seen.strangers,
        disk_free_bytes=seen.disk_free_bytes,
        engine_ok=seen.engine_ok,
        reported_ms=at_ms,
    )
