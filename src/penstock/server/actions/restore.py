"""Bringing a plane back from a backup, so that devices neither refuse it for ever nor obey it blindly.

Owns what a restore does to the store: a new epoch (its root document signed outside, with the root key), all leaves and open commands void, every
device under review until it has said what runs there. What was lost is named: log entries and releases as devices report, and here the
span of time that nothing is known of.
"""

from __future__ import annotations

from penstock.server.actions.reports import AWAITING
from penstock.server.actions.states import TOPIC
from penstock.server.core.events import line
from penstock.server.core.model import SYSTEM
from penstock.server.store import commands, devices, events, observations, outbox, receipts, retirements, states
from penstock.server.store.db import Tx


def begin_epoch(tx: Tx, now_ms: int, epoch: int, backup_ms: int, archive: str) -> int:
    """Void what an older epoch gave out and put every device under review; how many devices. Called once, before the plane serves."""
    everybody = devices.ids(tx)
    states.drop_all_leaves(tx)
    commands.drop_open(tx, "void: the control plane was restored; order it again if it is still wanted", now_ms)
    retirements.void(tx, "void: the control plane was restored; order it again if it is still wanted", now_ms)
    for device in everybody:
        observations.forget(tx, device)
        receipts.forget_outcomes(tx, device)
    devices.mark_all(tx, review=AWAITING)
    outbox.owe(tx, TOPIC, list(everybody), now_ms)
    data = {"epoch": str(epoch), "archive": archive, "backup_ms": str(backup_ms), "restored_ms": str(now_ms), "devices": str(len(everybody))}
    reason = "restored from a backup: what happened after it was made is known only as far as devices report it again"
    events.add(tx, line(SYSTEM, now_ms, "plane.restored", "plane", outcome="restored", reason=reason, data=data))
    return len(everybody)
