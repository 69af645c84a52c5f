"""This control plane itself: what it is, whether it is ready, its numbers."""

from __future__ import annotations

import penstock
from penstock.server.actions import faults
from penstock.server.actions.context import Plane, director_keyid
from penstock.server.core.access import permit
from penstock.server.core.model import Actor
from penstock.server.core.rights import EVERYWHERE, Target
from penstock.server.core.views import About, DeviceQuery
from penstock.server.store import devices, enrolments, log, outbox, rollouts
from penstock.server.store.db import Tx
from penstock.wire.version import WIRE


def about(plane: Plane, actor: Actor) -> About:
    """What this control plane is."""
    permit(actor, "settings.read", Target())
    root = plane.roots.root
    return About(
        penstock.__version__,
        WIRE,
        root.epoch,
        root.version,
        plane.roots.digest,
        root.expires_ms,
        director_keyid(plane),
        plane.db.url.partition(":")[0],
        plane.started_ms,
        plane.db.view(devices.count),
        plane.addresses,
        plane.db.view(faults.newest_backup_ms),
    )


def ready(plane: Plane) -> tuple[str, ...]:
    """What keeps this plane from serving, as sentences; empty when it is ready."""
    found = []
    try:
        plane.db.view(devices.count)
    except Exception as fault:  # noqa: BLE001 - whatever the driver raises, the answer is the same sentence
        found.append(f"the database does not answer: {type(fault).__name__}")
    if plane.roots.root.expires_ms <= plane.clock.now_ms():
        found.append("the root document has expired: devices make no changes until a new one is signed with the root key")
    return tuple(found)


def metrics(plane: Plane) -> tuple[tuple[str, dict[str, str], float], ...]:
    """(name, labels, value): gauges for the metrics page."""

    def work(tx: Tx) -> tuple[tuple[str, dict[str, str], float], ...]:
        found = devices.tally(tx, EVERYWHERE, DeviceQuery())
        rows: list[tuple[str, dict[str, str], float]] = [("penstock_devices", {"liveness": key}, float(number)) for key, number in found["liveness"].items()]
        rows += [("penstock_device_phase", {"phase": key}, float(number)) for key, number in found["phase"].items()]
        rows += [("penstock_device_state", {"state": key}, float(number)) for key, number in found["state"].items()]
        rows.append(("penstock_devices_without_way_back", {}, float(found["way_back"].get("missing", 0))))
        rows.append(("penstock_enrolments_waiting", {}, float(enrolments.count(tx, EVERYWHERE, "waiting"))))
        rows.append(("penstock_rollouts_running", {}, float(len(rollouts.running(tx)))))
        rows.append(("penstock_documents_owed", {}, float(outbox.count(tx, "state"))))
        rows.append(("penstock_log_entries", {}, float(log.count(tx))))
        rows.append(("penstock_long_polls", {}, float(plane.fleet.waiting)))
        return tuple(rows)

    return plane.db.view(work)
